using TraceDistill.Data.Determinism;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using Xunit;

namespace TraceDistill.Models.Tests.Cpu;

[Trait("Category", "Numeric")]
public unsafe class NoiseKernelTests
{
    const int D = 64;
    static readonly UpdateNoise Update = new(7, 3, 5);

    [Fact]
    public void AddUniform_TwoLengths_StaysWithinAlphaOverTheRootOfTokensTimesChannels()
    {
        var noise = Uniform(Update, [0, 1], [10, 40]);

        Check(noise[..(10 * D)], 5 / Math.Sqrt(10.0 * D));
        Check(noise[(10 * D)..], 5 / Math.Sqrt(40.0 * D));

        static void Check(float[] values, double bound)
        {
            Assert.InRange(values.Max(MathF.Abs), 0.98 * bound, bound);
            Assert.InRange(values.Average() / bound, -0.06, 0.06);
            Assert.InRange(values.Average(value => value * value), 0.9 * bound * bound / 3, 1.1 * bound * bound / 3);
        }
    }

    [Fact]
    public void AddUniform_SequenceInOtherCompany_GetsTheSameNoise()
    {
        var together = Uniform(Update, [4, 2, 9], [10, 40, 7]);

        Assert.Equal(together[(10 * D)..(50 * D)], Uniform(Update, [2], [40]));
        Assert.NotEqual(Uniform(Update, [2], [40]), Uniform(Update, [3], [40]));
        Assert.NotEqual(Uniform(Update, [2], [40]), Uniform(Update with { Step = 4 }, [2], [40]));
        Assert.NotEqual(Uniform(Update, [2], [40]), Uniform(Update with { Seed = 8 }, [2], [40]));
    }

    [Theory]
    [InlineData(0.1, 33)]
    [InlineData(0.5, 64)]
    public void Drop_Ones_LeavesTheirMeanAndDropsTheShare(double rate, int columns)
    {
        var dropped = Dropped(rate, columns, purpose: 1);

        Assert.All(dropped, value => Assert.True(value == 0 || value == (float)(1 / (1 - rate)), $"{value}"));
        Assert.InRange(dropped.Count(value => value == 0) / (double)dropped.Length, rate - 0.02, rate + 0.02);
        Assert.Equal(dropped, Dropped(rate, columns, purpose: 1));
        Assert.NotEqual(dropped, Dropped(rate, columns, purpose: 2));
    }

    /// <summary>Eight numbers at a time are those of the generator one after another, the lower half of each first.</summary>
    [Fact]
    public void Drop_ManyColumns_FollowsTheStreamOfSplitMix64()
    {
        const int Columns = 45;
        var dropped = Dropped(0.3, Columns, purpose: 4);
        var noise = PassNoise.Create(Update, [0], [200]);
        for (var row = 0; row < 200; row++)
        {
            var random = new SplitMix64(noise.Key(row, 4));
            for (var c = 0; c < Columns; c += 2)
            {
                var bits = random.Next();
                Assert.Equal((uint)bits < 0.3 * uint.MaxValue, dropped[(row * Columns) + c] == 0);
                Assert.True(c + 1 == Columns || bits >> 32 < 0.3 * uint.MaxValue == (dropped[(row * Columns) + c + 1] == 0));
            }
        }
    }

    static float[] Uniform(UpdateNoise update, int[] sequences, int[] lengths)
    {
        using var x = new FloatBuffer(lengths.Sum() * D);
        NoiseKernel.AddUniform(x.Memory.Pointer, lengths, D, update.NeftuneAlpha, PassNoise.Create(update, sequences, lengths), purpose: 0);
        return x.Span.ToArray();
    }

    static float[] Dropped(double rate, int columns, int purpose)
    {
        const int Rows = 200;
        using var x = new FloatBuffer(Rows * columns);
        x.Span.Fill(1);
        NoiseKernel.Drop(x.Memory.Pointer, Rows, columns, rate, PassNoise.Create(Update, [0], [Rows]), purpose);
        return x.Span.ToArray();
    }
}
