using TraceDistill.Core.Alignment;
using TraceDistill.Training.Losses;
using TraceDistill.Training.Models;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

public class GradientWorkersTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 40, HiddenSize = 32, IntermediateSize = 48, NumHiddenLayers = 2, NumAttentionHeads = 2, NumKeyValueHeads = 1, HeadDim = 16,
        MaxPositionEmbeddings = 64, TieWordEmbeddings = false, InitializerRange = 0.2,
    };

    static readonly DistillationSettings Settings = new(0.6, 1.5, MissingMass.TailBucket);

    [Theory]
    [InlineData(1, 1_000, 1, 30)]
    [InlineData(1, 1_000, 2, 90)]
    [InlineData(2, 30, 2, 90)]
    public void Accumulate_OtherMicroBatches_GivesTheSameGradient(int workersA, int tokensA, int workersB, int tokensB)
    {
        using var parameters = Parameters();
        var batch = Sequences(8);
        var (a, totalsA) = Gradient(parameters, batch, workersA, tokensA);
        var (b, totalsB) = Gradient(parameters, batch, workersB, tokensB);

        Assert.Equal(totalsA.Tokens, totalsB.Tokens);
        Assert.Equal(totalsA.Loss, totalsB.Loss, 1e-5 * totalsA.Loss);
        Assert.InRange(Distance(a, b), 0, 2e-6);
    }

    [Fact]
    public void Accumulate_SameBatchTwice_GivesTheSameBits()
    {
        using var parameters = Parameters();
        var batch = Sequences(8);

        Assert.Equal(Gradient(parameters, batch, 2, 60).Gradient, Gradient(parameters, batch, 2, 60).Gradient);
    }

    [Fact]
    public void Accumulate_PromptTokens_AreNotAskedFor()
    {
        using var parameters = Parameters();
        var (gradient, totals) = Gradient(parameters, [new TraceTokens([1, 2, 3, 4, 5], 4, null)], 1, 100);

        Assert.Equal(1, totals.Tokens);
        Assert.All([1, 2, 3, 4], id => Assert.True(Push(parameters, gradient, id) > 0));
        Assert.True(Push(parameters, gradient, 5) < 0);
    }

    [Fact]
    public void Accumulate_EndOfSequence_IsAskedFor()
    {
        using var parameters = Parameters();
        const int End = 39;
        var (gradient, totals) = Gradient(parameters, [new TraceTokens([1, 2, 3, End], 3, null)], 1, 100);

        Assert.Equal(1, totals.Tokens);
        Assert.True(Push(parameters, gradient, End) < 0);
    }

    [Fact]
    public void Accumulate_EveryParameter_HasTheSlopeOfFiniteDifferences()
    {
        using var parameters = Parameters();
        var batch = Sequences(3);
        var (gradient, totals) = Gradient(parameters, batch, 1, 1_000);
        var random = new Random(8);
        for (var probe = 0; probe < 12; probe++)
        {
            // A step along a random direction of one weight matrix, so that the change stands clear of float32 rounding.
            var name = parameters.Names.ElementAt(probe % parameters.Names.Count());
            var direction = parameters.Values(name).ToArray().Select(_ => random.Next(2) * 2 - 1f).ToArray();
            const float H = 5e-4f;
            var difference = (LossAt(parameters, name, direction, H, batch) - LossAt(parameters, name, direction, -H, batch)) / (2 * H);
            var slope = direction.Select((sign, i) => (double)sign * gradient[parameters.OffsetOf(name) + i]).Sum();
            Assert.Equal(slope, difference, 2e-3 * Math.Max(totals.Tokens, Math.Abs(slope)));
        }
    }

    static double LossAt(ModelParameters parameters, string name, float[] direction, float step, TraceTokens[] batch)
    {
        var original = parameters.Values(name).ToArray();
        for (var i = 0; i < direction.Length; i++)
        {
            parameters.Values(name)[i] += step * direction[i];
        }

        var loss = Gradient(parameters, batch, 1, 1_000).Totals.Loss;
        original.CopyTo(parameters.Values(name));
        return loss;
    }

    /// <summary>
    /// With one trained position, the gradient of output row i is (qᵢ − [i is the target]) · h: against the row of a token that is not the
    /// target, its sign tells whether the loss pushes token i down (positive) or asks for it (negative).
    /// </summary>
    static double Push(ModelParameters parameters, float[] gradient, int id)
    {
        var offset = (int)parameters.OffsetOf("lm_head.weight");
        return Enumerable.Range(0, 32).Sum(c => (double)gradient[offset + id * 32 + c] * gradient[offset + 20 * 32 + c]);
    }

    static ModelParameters Parameters()
    {
        var parameters = new ModelParameters(Shape);
        parameters.Initialize(3);
        return parameters;
    }

    static (float[] Gradient, LossTotals Totals) Gradient(ModelParameters parameters, TraceTokens[] batch, int workers, int microBatchTokens)
    {
        using var all = new GradientWorkers(parameters, workers, microBatchTokens);
        var totals = all.Accumulate(batch, Settings);
        return (all.Gradient.Span.ToArray(), totals);
    }

    static TraceTokens[] Sequences(int count)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var ids = Enumerable.Range(0, random.Next(12, 30)).Select(_ => random.Next(40)).ToArray();
            var rows = ids.Length - 5;
            var soft = new SoftTargets { K = 3, Ids = new int[rows * 3], Logprobs = new float[rows * 3], Tail = new float[rows] };
            for (var row = 0; row < rows; row++)
            {
                for (var i = 0; i < 3; i++)
                {
                    soft.Ids[row * 3 + i] = (ids[5 + row] + 7 * i) % 40;
                    soft.Logprobs[row * 3 + i] = MathF.Log(0.6f / (1 << (2 * i)));
                }

                soft.Tail[row] = SoftTargets.TailLogprob(soft.Logprobs.AsSpan(row * 3, 3));
            }

            return new TraceTokens(ids, 5, soft);
        })];
    }

    static double Distance(float[] a, float[] b) =>
        Math.Sqrt(a.Zip(b, (x, y) => Math.Pow(x - y, 2)).Sum() / a.Sum(x => Math.Pow(x, 2)));
}
