using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Optimization;

[Trait("Category", "Numeric")]
public class StochasticRoundingTests
{
    /// <summary>π lies between 3.140625 and 3.15625, two numbers of eight significant bits.</summary>
    [Fact]
    public void Round_ManyTimes_TakesTheNeighboursByTheirNearness()
    {
        using var scope = NewDisposeScope();
        using var rounding = new StochasticRounding(seed: 3, update: 1, TestDevice.Current);
        const int Count = 1 << 20;

        var rounded = rounding.Round(full([Count], Math.PI, dtype: ScalarType.Float32, device: TestDevice.Current)).cpu();

        float[] values = [.. rounded.data<float>()];
        Assert.Equal([3.140625f, 3.15625f], values.Distinct().Order());
        var share = (Math.PI - 3.140625) / (3.15625 - 3.140625);
        // Five standard deviations of so many draws.
        Assert.Equal(share, values.Count(value => value > 3.15f) / (double)Count, 5 * Math.Sqrt(share * (1 - share) / Count));
    }

    [Fact]
    public void Round_NumbersThatBFloat16Has_StayAsTheyAre()
    {
        using var scope = NewDisposeScope();
        using var rounding = new StochasticRounding(seed: 3, update: 1, TestDevice.Current);
        float[] values = [0, 1, -1, 2, 0.5f, 255, -3.140625f, 1.17549435e-38f, 3.38953139e38f, -0.0078125f];

        var rounded = rounding.Round(tensor(values, device: TestDevice.Current)).cpu();

        Assert.Equal(values, rounded.data<float>().ToArray());
    }

    /// <summary>Those of a negative number, and of one below a power of two, whose upper neighbour is that power.</summary>
    [Theory]
    [InlineData(-1.001f, -1.0078125f, -1f)]
    [InlineData(0.999f, 0.99609375f, 1f)]
    [InlineData(1.001f, 1f, 1.0078125f)]
    [InlineData(1e-3f, 0.00099945068359375f, 0.00100708007812f)]
    public void Round_AnyNumber_GivesOneOfItsTwoNeighbours(float value, float lower, float upper)
    {
        using var scope = NewDisposeScope();
        using var rounding = new StochasticRounding(seed: 5, update: 2, TestDevice.Current);

        var rounded = rounding.Round(full([4_096], value, dtype: ScalarType.Float32, device: TestDevice.Current)).cpu();

        Assert.Equal([lower, upper], rounded.data<float>().ToArray().Distinct().Order());
    }

    [Fact]
    public void Round_SameSeedAndUpdate_DrawsTheSame()
    {
        using var scope = NewDisposeScope();
        var values = rand(1_000, device: TestDevice.Current);
        float[] Draw(long seed, long update)
        {
            using var rounding = new StochasticRounding(seed, update, TestDevice.Current);
            return rounding.Round(values).cpu().data<float>().ToArray();
        }

        Assert.Equal(Draw(7, 3), Draw(7, 3));
        Assert.NotEqual(Draw(7, 3), Draw(7, 4));
        Assert.NotEqual(Draw(7, 3), Draw(8, 3));
    }

    /// <summary>
    /// Steps of 1e-5 from weights near 1, whose next numbers are 0.0078 away: rounded to the
    /// nearest, none would ever be taken; rounded at random, their mean over many weights is.
    /// </summary>
    [Theory]
    [InlineData(OptimizerKind.Adamw)]
    [InlineData(OptimizerKind.Adamw8bit)]
    [InlineData(OptimizerKind.Lion)]
    public void Step_WeightsInBFloat16_GoTheWayOfFloat32OnTheAverage(OptimizerKind kind)
    {
        const string Name = "model.embed_tokens.weight";
        var (exact, start) = After(ScalarType.Float32, updates: 100);
        var (rounded, _) = After(ScalarType.BFloat16, updates: 100);

        var (way, taken) = (exact.Zip(start, (a, b) => (double)a - b).Average(), rounded.Zip(start, (a, b) => (double)a - b).Average());
        // A weight is off by at most one number's distance, with a standard deviation of half of it.
        Assert.Equal(way, taken, 5 * 0.5 * 0.0078125 / Math.Sqrt(exact.Length));
        Assert.InRange(Math.Abs(way), 5e-4, 2e-3);

        (float[] Weights, float[] Start) After(ScalarType dtype, int updates)
        {
            using var parameters = new ModelParameters(
                new ModelConfiguration
                {
                    VocabSize = 4_000,
                    HiddenSize = 16,
                    IntermediateSize = 24,
                    NumHiddenLayers = 1,
                    NumAttentionHeads = 2,
                    NumKeyValueHeads = 1,
                    HeadDim = 8,
                    TieWordEmbeddings = true,
                }
            );
            parameters.Flat.Span.Fill(1);
            float[] start = [.. parameters.Values(Name)];
            var trained = TrainedWeights.All(parameters);
            parameters.HoldAs(dtype);
            using var optimizer = new DeviceOptimizer(
                new OptimizationOptions
                {
                    Optim = kind,
                    WeightDecay = 0,
                    Seed = 4,
                    Workers = 1,
                },
                trained
            );
            using var gradient = new FloatBuffer(parameters.Count);
            gradient.Span.Fill(0.1f);
            for (var update = 1; update <= updates; update++)
            {
                optimizer.Step(gradient, 1, 1e-5, update);
            }

            var values = new float[start.Length];
            parameters.Read(Name, 0, values);
            return (values, start);
        }
    }
}
