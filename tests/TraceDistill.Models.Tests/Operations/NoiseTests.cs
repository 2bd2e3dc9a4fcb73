using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

[Trait("Category", "Numeric")]
public class NoiseTests
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

    static float[] Uniform(UpdateNoise update, int[] sequences, int[] lengths)
    {
        using var scope = NewDisposeScope();
        var x = zeros(lengths.Sum(), D, device: TestDevice.Current);
        return [.. Noise.AddUniform(x, lengths, PassNoise.Create(update, sequences, lengths)).cpu().data<float>()];
    }
}
