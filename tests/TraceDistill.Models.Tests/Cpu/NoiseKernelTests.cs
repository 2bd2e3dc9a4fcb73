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
    static readonly UpdateNoise Update = new(7, 3, 5);

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

    static float[] Dropped(double rate, int columns, int purpose)
    {
        const int Rows = 200;
        using var x = new FloatBuffer(Rows * columns);
        x.Span.Fill(1);
        NoiseKernel.Drop(x.Memory.Pointer, Rows, columns, rate, PassNoise.Create(Update, [0], [Rows]), purpose);
        return x.Span.ToArray();
    }
}
