using TraceDistill.Models;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Optimization;

/// <summary>The penalty of elastic weight consolidation, and the Fisher information that it weighs by.</summary>
[Trait("Category", "Numeric")]
public class ElasticPenaltyTests
{
    const double Lambda = 3;
    const int Tokens = 7;

    static readonly HashSet<string> Frozen = ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"];

    /// <summary>λ / 2 · Σ F · (θ − θ*)² in float64, and its central differences, beside what the gradient held before.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AddTo_WeightsThatHaveMoved_HasValueAndSlopesOfTheFormula(bool isPartlyFrozen)
    {
        using var parameters = SampleSequences.Parameters();
        var trained = isPartlyFrozen ? TrainedWeights.AllBut(parameters, Frozen) : TrainedWeights.All(parameters);
        var random = new Random(4);
        float[] Draw(double low) => [.. Enumerable.Range(0, (int)trained.Count).Select(_ => (float)(low + random.NextDouble()))];
        float[] start = Values(trained),
            fisher = Draw(0),
            before = Draw(-0.5);
        float[] after = [];
        float[] gradient = [];
        var value = TestDevice.With(trained, () =>
        {
            using var penalty = new ElasticPenalty(trained, Lambda);
            Fill(penalty.Fisher, fisher);
            foreach (var name in trained.Names)
            {
                using var scope = NewDisposeScope();
                using var noGrad = no_grad();
                var weights = trained.Weights.Flat.Vector.narrow(0, trained.Weights.OffsetOf(name), Count(trained, name));
                weights.add_(rand_like(weights) - 0.5);
            }

            after = Values(trained);
            using var slopes = new FloatBuffer(trained.Count, TestDevice.Current);
            Fill(slopes, before);
            var value = penalty.AddTo(slopes, Tokens);
            gradient = new float[trained.Count];
            slopes.Read(0, gradient);
            return value;
        });

        double Penalty(int i, double at) => Lambda / 2 * fisher[i] * Math.Pow(at - start[i], 2);
        var expected = Enumerable.Range(0, after.Length).Sum(i => Penalty(i, after[i]));
        // a float32 difference, its product with F, and the sum in float64
        Assert.Equal(expected, value.Sum / Tokens, expected * Rounding.Of(4));
        var squares = Enumerable.Range(0, after.Length).Sum(i => Math.Pow(Lambda * fisher[i] * ((double)after[i] - start[i]), 2));
        Assert.Equal(squares, value.SquaredGradient!.Value / Tokens, squares * Rounding.Of(8));
        Assert.Equal(Tokens, value.Tokens);
        for (var i = 0; i < after.Length; i++)
        {
            const double Step = 1e-3;
            var slope = (Penalty(i, after[i] + Step) - Penalty(i, after[i] - Step)) / (2 * Step);
            Assert.Equal(before[i] + (Tokens * slope), gradient[i], Rounding.Of(6) * (1 + (Tokens * Math.Abs(slope))));
        }
    }

    /// <summary>The squares of the gradients of whole sequences, each made by itself, over the number of tokens.</summary>
    [Fact]
    public void Estimate_EmpiricalLabels_IsTheMeanSquareOfTheSequencesGradients()
    {
        using var parameters = SampleSequences.Parameters();
        var trained = TrainedWeights.All(parameters);
        var sequences = SampleSequences.Create(5);
        TestDevice.With(trained, () =>
        {
            using var workers = new GradientWorkers(trained, 2, 30);
            var expected = new double[trained.Count];
            foreach (var sequence in sequences)
            {
                foreach (var (i, slope) in Gradient(workers, sequence).Index())
                {
                    expected[i] += (double)slope * slope / sequences.Sum(all => all.Trained);
                }
            }

            var actual = Estimate(trained, workers, sequences, FisherLabels.Empirical);

            var largest = expected.Max();
            Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, Rounding.Of(12) * largest));
            return true;
        });
    }

    /// <summary>
    /// Σ over tokens and words of p · (∂ log p / ∂θ)², each word's gradient by itself: 40 words of 9 tokens. Drawn labels come to it on the
    /// average; of 600 drawn sequences the trace is within a tenth, as are the sums over each weight, where a gradient of another place or
    /// a label of the trace would be off by its multiple.
    /// </summary>
    [Fact]
    public void Estimate_DrawnLabels_ComesToTheFisherInformation()
    {
        using var parameters = SampleSequences.Parameters();
        var trained = TrainedWeights.All(parameters);
        var sequence = SampleSequences.Create(1)[0] is var whole
            ? whole with
            {
                Ids = whole.Ids[..(SampleSequences.Prompt + 9)],
                Soft = null,
            }
            : null!;
        TestDevice.With(trained, () =>
        {
            using var workers = new GradientWorkers(trained, 2, 64);
            var exact = new double[trained.Count];
            for (var t = sequence.FirstTrained; t < sequence.Ids.Length; t++)
            {
                for (var word = 0; word < SampleSequences.Shape.VocabSize; word++)
                {
                    var one = new TraceTokens([.. sequence.Ids[..t], word], t, Soft: null);
                    var slopes = Gradient(workers, one, out var loss);
                    foreach (var (i, slope) in slopes.Index())
                    {
                        exact[i] += Math.Exp(-loss) * slope * slope / sequence.Trained;
                    }
                }
            }

            var actual = Estimate(trained, workers, [.. Enumerable.Repeat(sequence, 600)], FisherLabels.Model);
            var empirical = Estimate(trained, workers, [sequence], FisherLabels.Empirical);

            Assert.InRange(actual.Sum(value => (double)value) / exact.Sum(), 0.9, 1.1);
            Assert.NotInRange(empirical.Sum(value => (double)value) / exact.Sum(), 0.8, 1.2);
            foreach (var name in trained.Names)
            {
                var (first, count) = ((int)trained.OffsetOf(name)!.Value, (int)Count(trained, name));
                var (sum, drawn) = (exact[first..(first + count)].Sum(), actual[first..(first + count)].Sum(value => (double)value));
                Assert.True(Math.Abs(drawn - sum) <= 0.2 * sum, $"{name}: {drawn}, not {sum}");
            }

            return true;
        });
    }

    [Fact]
    public void Estimate_Twice_GivesTheSameBitsAndOthersWithAnotherSeed()
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var parameters = SampleSequences.Parameters();
        var trained = TrainedWeights.All(parameters);
        var sequences = SampleSequences.Create(6);
        using var workers = new GradientWorkers(trained, 1, 30);
        using var others = new GradientWorkers(trained, 3, 30);

        var once = Estimate(trained, workers, sequences, FisherLabels.Model);

        Assert.Equal(once, Estimate(trained, others, sequences, FisherLabels.Model));
        Assert.NotEqual(once, Estimate(trained, workers, sequences, FisherLabels.Model, seed: 2));
    }

    static float[] Estimate(
        TrainedWeights trained,
        GradientWorkers workers,
        IReadOnlyList<TraceTokens> sequences,
        FisherLabels labels,
        long seed = 1
    )
    {
        using var fisher = new FloatBuffer(trained.Count, trained.Weights.Device);
        FisherInformation.Estimate(fisher, workers, sequences, labels, seed, cancellationToken: TestContext.Current.CancellationToken);
        var values = new float[trained.Count];
        fisher.Read(0, values);
        return values;
    }

    static float[] Gradient(GradientWorkers workers, TraceTokens sequence) => Gradient(workers, sequence, out _);

    static float[] Gradient(GradientWorkers workers, TraceTokens sequence, out double loss)
    {
        var objectives = ObjectivePlan.HardLoss().At(TrainingPoint.First);
        loss = workers.Accumulate([sequence with { Soft = null }], objectives).Loss;
        var values = new float[workers.Gradient.Count];
        workers.Gradient.Read(0, values);
        return values;
    }

    /// <summary>The trained weights in the order of their gradient.</summary>
    static float[] Values(TrainedWeights trained)
    {
        var values = new float[trained.Count];
        foreach (var name in trained.Names)
        {
            trained.Weights.Flat.Read(
                trained.Weights.OffsetOf(name),
                values.AsSpan((int)trained.OffsetOf(name)!.Value, (int)Count(trained, name))
            );
        }

        return values;
    }

    static void Fill(FloatBuffer buffer, float[] values)
    {
        using var noGrad = no_grad();
        using var given = tensor(values);
        buffer.Vector.copy_(given);
    }

    static long Count(TrainedWeights trained, string name) =>
        trained.Weights.ShapeOf(name).Aggregate(1L, (product, size) => product * size);
}
