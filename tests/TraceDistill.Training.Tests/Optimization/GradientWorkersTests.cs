using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Optimization;

[Trait("Category", "Numeric")]
public class GradientWorkersTests
{
    /// <summary>Of gradients over sequences of at most 30 tokens.</summary>
    static readonly double Tolerance = Rounding.OfBackward(SampleSequences.Shape, 30);
    const double Alpha = 0.6,
        Temperature = 1.5;
    static readonly ObjectivePlan Settings = ObjectivePlan.Classic(Alpha, Temperature);

    [Theory]
    [InlineData(1, 1_000, 1, 30)]
    [InlineData(1, 1_000, 2, 90)]
    [InlineData(2, 30, 2, 90)]
    [InlineData(1, 1_000, 12, 30)]
    [InlineData(1, 1_000, 2, 30, "gemma2")]
    [InlineData(1, 1_000, 2, 30, "mixtral")]
    public void Accumulate_OtherMicroBatches_GivesTheSameGradient(
        int workersA,
        int tokensA,
        int workersB,
        int tokensB,
        string family = "llama"
    )
    {
        var shape = Shape(family);
        shape = shape.Experts is { } experts ? shape with { Experts = experts with { RouterLossWeight = 0.5 } } : shape;
        using var parameters = SampleSequences.Parameters(shape);
        var batch = SampleSequences.Create(8);
        var (a, totalsA) = Gradient(parameters, batch, workersA, tokensA);
        var (b, totalsB) = Gradient(parameters, batch, workersB, tokensB);

        Assert.Equal(totalsA.Tokens, totalsB.Tokens);
        Assert.Equal(totalsA.Loss, totalsB.Loss, 2 * Tolerance * totalsA.Loss);
        Assert.InRange(SampleSequences.Distance(a, b), 0, 2 * Tolerance);
    }

    /// <summary>Noise belongs to a token, not to the thread or the pass that it falls to.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Accumulate_DropoutAndNoiseInOtherMicroBatches_GivesTheSameGradient(bool useDora)
    {
        using var parameters = SampleSequences.Parameters();
        using var adapter = SampleAdapters.Create(parameters, useDora, dropout: 0.2);
        var batch = SampleSequences.Create(8);
        var trained = TrainedWeights.Of(adapter);
        var noise = new UpdateNoise(1, 5, 10);

        var (once, onceTotals) = Gradient(trained, batch, 1, 1_000, noise: noise);
        var (often, oftenTotals) = Gradient(trained, batch, 3, 30, noise: noise);

        Assert.Equal(onceTotals.Loss, oftenTotals.Loss, 2 * Tolerance * onceTotals.Loss);
        Assert.InRange(SampleSequences.Distance(once, often), 0, 2 * Tolerance);
        UpdateNoise?[] others = [noise with { Step = 6 }, noise with { NeftuneAlpha = 0 }, null];
        Assert.All(others, other => Assert.NotEqual(onceTotals.Loss, Gradient(trained, batch, 1, 1_000, noise: other).Totals.Loss));
    }

    [Fact]
    public void Accumulate_SameBatchTwice_GivesTheSameBits()
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var parameters = SampleSequences.Parameters();
        var batch = SampleSequences.Create(8);

        Assert.Equal(Gradient(parameters, batch, 2, 60).Gradient, Gradient(parameters, batch, 2, 60).Gradient);
    }

    [Theory]
    [InlineData(30)]
    [InlineData(90)]
    public void Accumulate_OtherNumberOfWorkers_GivesTheSameBits(int microBatchTokens)
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var parameters = SampleSequences.Parameters();
        var batch = SampleSequences.Create(8);
        var (alone, totals) = Gradient(parameters, batch, 1, microBatchTokens);

        foreach (var workers in new[] { 2, 3, 5 })
        {
            var (shared, sharedTotals) = Gradient(parameters, batch, workers, microBatchTokens);
            Assert.Equal(alone, shared);
            Assert.Equal((totals.Loss, totals.Tokens), (sharedTotals.Loss, sharedTotals.Tokens));
            Assert.Equal(totals.Terms, sharedTotals.Terms);
        }
    }

    /// <summary>Fewer lanes than workers: parts of products, attention and softmax go to those that are idle.</summary>
    [Fact]
    public void Accumulate_LongSequenceAndOtherNumberOfWorkers_GivesTheSameBits()
    {
        TestDevice.SkipUnlessBitsRepeat();
        var shape = SampleSequences.Shape with
        {
            VocabSize = 20_000,
            HiddenSize = 256,
            IntermediateSize = 1_024,
            NumAttentionHeads = 8,
            NumKeyValueHeads = 4,
            HeadDim = 32,
            MaxPositionEmbeddings = 2_048,
            TieWordEmbeddings = true,
            InitializerRange = 0.02,
        };
        using var parameters = SampleSequences.Parameters(shape);
        var random = new Random(7);
        int[] ids = [.. Enumerable.Range(0, 1_500).Select(_ => random.Next(shape.VocabSize))];
        var soft = SampleSequences.SoftTargetsOf(ids, row => [(ids[SampleSequences.Prompt + row], Math.Log(0.7))]);
        TraceTokens[] batch = [new(ids, SampleSequences.Prompt, soft), .. SampleSequences.Create(2)];
        var (alone, totals) = Gradient(parameters, batch, 1, 1_000);

        var (shared, sharedTotals) = Gradient(parameters, batch, 5, 1_000);

        Assert.Equal(alone, shared);
        Assert.Equal(totals.Loss, sharedTotals.Loss);
    }

    [Fact]
    [Trait("Mistake", "training on prompts")]
    public void Accumulate_PromptTokens_AreNotAskedFor()
    {
        using var parameters = SampleSequences.Parameters();
        var (gradient, totals) = Gradient(parameters, [new TraceTokens([1, 2, 3, 4, 5], 4, null)], 1, 100);

        Assert.Equal(1, totals.Tokens);
        Assert.All([1, 2, 3, 4], id => Assert.True(Push(parameters, gradient, id) > 0));
        Assert.True(Push(parameters, gradient, 5) < 0);
    }

    [Fact]
    public void Accumulate_EndOfSequence_IsAskedFor()
    {
        using var parameters = SampleSequences.Parameters();
        const int End = 39;
        var (gradient, totals) = Gradient(parameters, [new TraceTokens([1, 2, 3, End], 3, null)], 1, 100);

        Assert.Equal(1, totals.Tokens);
        Assert.True(Push(parameters, gradient, End) < 0);
    }

    static ModelConfiguration Shape(string family) =>
        family switch
        {
            "llama" => SampleSequences.Shape,
            "gemma2" => SampleSequences.Shape with
            {
                Family = ModelFamily.Gemma2,
                QueryPreAttnScalar = 20,
                AttentionSoftCap = 50,
                LogitSoftCap = 30,
                InitializerRange = 1,
            },
            _ => SampleSequences.Shape with
            {
                Family = ModelFamily.Mixtral,
                Experts = new()
                {
                    NumExperts = 4,
                    NumExpertsPerToken = 2,
                    IntermediateSize = 48,
                    NormalizesTopK = true,
                    RouterLossWeight = 0,
                },
            },
        };

    /// <summary>The loss of experts' balance is a part of the loss, for each trained token.</summary>
    [Fact]
    public void Accumulate_ModelWithExperts_AddsTheLossOfTheirBalance()
    {
        var (without, with) = (
            Shape("mixtral"),
            Shape("mixtral") with
            {
                Experts = Shape("mixtral").Experts! with { RouterLossWeight = 0.5 },
            }
        );
        using ModelParameters plain = SampleSequences.Parameters(without),
            balanced = SampleSequences.Parameters(with);
        var batch = SampleSequences.Create(3);

        var (gradient, totals) = Gradient(plain, batch, 1, 1_000);
        var (balancedGradient, balancedTotals) = Gradient(balanced, batch, 1, 1_000);

        Assert.Equal(0, totals.Of("router"));
        Assert.Equal(totals.Loss + balancedTotals.Of("router"), balancedTotals.Loss, 1e-9 * totals.Loss);
        // two experts a token: 2 in perfect balance, 4 where all take the same
        Assert.InRange(balancedTotals.Of("router") / (0.5 * totals.Tokens), 2, 4);
        Assert.NotEqual(gradient, balancedGradient);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("gemma2")]
    [InlineData("mixtral")]
    public void Accumulate_AllWeights_HaveTheSlopesOfFiniteDifferencesInFloat64(string family)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var parameters = SampleSequences.Parameters(Shape(family));
        var batch = SampleSequences.Create(3);
        var (gradient, totals) = Gradient(parameters, batch, 1, 1_000);
        var reference = new ReferenceLlama(parameters);
        var norm = Math.Sqrt(gradient.Sum(slope => (double)slope * slope));
        var random = new Random(8);

        Assert.Equal(ReferenceLossOf(reference, batch), totals.Loss, Tolerance * totals.Loss);
        foreach (var name in parameters.Names)
        {
            var direction = parameters.Values(name).ToArray().Select(_ => random.Next(2) * 2 - 1.0).ToArray();
            var move = tensor(direction, parameters.ShapeOf(name));
            const double H = 1e-5;
            var weight = reference.Weight(name);
            weight.add_(move, H);
            var up = ReferenceLossOf(reference, batch);
            weight.add_(move, -2 * H);
            var down = ReferenceLossOf(reference, batch);
            weight.add_(move, H);

            var slope = direction.Select((sign, i) => sign * gradient[parameters.OffsetOf(name) + i]).Sum();
            Assert.Equal((up - down) / (2 * H), slope, Tolerance * norm * Math.Sqrt(direction.Length));
        }
    }

    [Theory]
    [InlineData(3, 1)]
    [InlineData(3, 2)]
    [InlineData(40, 1)]
    public void Accumulate_StudentThatCopiesTheTeacher_HasNoDivergenceAndNoGradient(int k, double temperature)
    {
        using var parameters = SampleSequences.Parameters();
        var settings = ObjectivePlan.Classic(1, temperature, MissingMass.TailBucket);
        var (hard, _) = Gradient(parameters, SampleSequences.Create(4), 2, 60, ObjectivePlan.Classic(0, 1, MissingMass.TailBucket));

        var (gradient, totals) = Gradient(parameters, CopiesOf(parameters, k, shift: 0), 2, 60, settings);
        var (_, shifted) = Gradient(parameters, CopiesOf(parameters, k, shift: 1), 2, 60, settings);

        Assert.Equal(totals.Tokens, totals.SoftTokens);
        Assert.InRange(totals.Of("kd") / totals.Tokens, -Tolerance, Tolerance);
        Assert.InRange(Norm(gradient) / Norm(hard), 0, Tolerance);
        Assert.True(shifted.Of("kd") / shifted.Tokens > 0.01, "a teacher that is one position off looks like the student");
    }

    /// <summary>Sequences whose soft targets are the model's own distributions, computed in float64 by another implementation.</summary>
    static TraceTokens[] CopiesOf(ModelParameters parameters, int k, int shift)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var reference = new ReferenceLlama(parameters);
        return
        [
            .. SampleSequences
                .Create(4)
                .Select(sequence =>
                {
                    var logits = Rows(reference, sequence.Ids);
                    return sequence with { Soft = SampleSequences.SoftTargetsOf(sequence.Ids, row =>
                        {
                            var q = ReferenceLoss.Softmax(logits[SampleSequences.Prompt - 1 + row - shift]);
                            return
                            [
                                .. q.Index()
                                    .OrderByDescending(entry => entry.Item)
                                    .Take(k)
                                    .Select(entry => (entry.Index, Math.Log(entry.Item))),
                            ];
                        }) };
                }),
        ];
    }

    static double ReferenceLossOf(ReferenceLlama reference, TraceTokens[] batch) =>
        batch.Sum(sequence =>
        {
            var logits = Rows(reference, sequence.Ids);
            var soft = sequence.Soft!.Read();
            return Enumerable
                .Range(0, sequence.Trained)
                .Sum(row =>
                    ReferenceLoss.Of(
                        logits[sequence.FirstTrained + row - 1],
                        sequence.Ids[sequence.FirstTrained + row],
                        soft.Ids[(row * soft.K)..((row + 1) * soft.K)],
                        soft.Logprobs[(row * soft.K)..((row + 1) * soft.K)],
                        soft.Tail[row],
                        Alpha,
                        Temperature,
                        tailBucket: true
                    )
                );
        });

    static double[][] Rows(ReferenceLlama reference, int[] ids)
    {
        using var scope = NewDisposeScope();
        return [.. reference.Logits(ids).data<double>().ToArray().Chunk(SampleSequences.Shape.VocabSize)];
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

    static double Norm(float[] values) => Math.Sqrt(values.Sum(value => (double)value * value));

    static (float[] Gradient, LossTotals Totals) Gradient(
        ModelParameters parameters,
        TraceTokens[] batch,
        int workers,
        int microBatchTokens,
        ObjectivePlan? settings = null
    ) => Gradient(TrainedWeights.All(parameters), batch, workers, microBatchTokens, settings);

    static (float[] Gradient, LossTotals Totals) Gradient(
        TrainedWeights trained,
        TraceTokens[] batch,
        int workers,
        int microBatchTokens,
        ObjectivePlan? settings = null,
        UpdateNoise? noise = null
    ) => TestDevice.With(trained, () =>
        {
            using var all = new GradientWorkers(trained, workers, microBatchTokens);
            var totals = all.Accumulate(batch, (settings ?? Settings).At(TrainingPoint.First), noise);
            var gradient = new float[trained.Count];
            all.Gradient.Read(0, gradient);
            return (gradient, totals);
        });
}
