using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Classification;

/// <summary>Losses of labels and their gradient, of several tasks that share lower layers.</summary>
[Trait("Category", "Numeric")]
public sealed class LabelGradientTests : IDisposable
{
    const double Alpha = 0.7,
        Temperature = 2,
        Smoothing = 0.1;

    readonly TaskParameters _models = Models(shared: 1);

    public void Dispose() => _models.Dispose();

    /// <summary>Texts and tokens with certain, soft and unknown labels, with and without a teacher.</summary>
    [Fact]
    public void Accumulate_TwoTasks_HasLossAndSlopesOfTheFormulaInFloat64()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var batch = Batch(10);
        var balance = Balance();

        var (totals, gradient) = Accumulate(batch, balance);

        ReferenceLlama[] references = [.. _models.Models.Select(model => new ReferenceLlama(model))];
        var tolerance = Rounding.OfBackward(SampleSequences.Shape, 30);
        var items = totals.Tokens;
        Assert.Equal(Formula(), totals.Loss / items, tolerance * Math.Abs(totals.Loss / items));
        CentralDifferences.Check(
            [.. gradient.Select(slope => slope / items)],
            direction => CentralDifferences.Of(step => Move(references, direction, step), Formula),
            tolerance
        );

        // Σ weight · mean over the task's items, by plain arithmetic.
        double Formula() =>
            Enumerable
                .Range(0, 2)
                .Sum(task =>
                {
                    var own = batch.Where(sequence => sequence.Labels!.Task == task).ToList();
                    var losses = own.SelectMany(sequence => Losses(references[task], task, sequence)).ToList();
                    return (task == 0 ? 1 : 0.5) * losses.Average();
                });
    }

    /// <summary>Layers that two tasks share have the sum of their gradients, and each one's own its own alone.</summary>
    [Fact]
    public void Accumulate_TwoTasksTogether_AddsUpInWhatTheyShare()
    {
        var batch = Batch(12);
        TraceTokens[] first = [.. batch.Where(sequence => sequence.Labels!.Task == 0)],
            second = [.. batch.Where(sequence => sequence.Labels!.Task == 1)];

        var (totals, both) = Accumulate(batch, Balance());
        var (ofFirst, one) = Accumulate(first, Balance());
        var (ofSecond, other) = Accumulate(second, Balance());

        float[] sum = [.. one.Zip(other, (a, b) => (a / ofFirst.Tokens) + (b / ofSecond.Tokens))];
        float[] together = [.. both.Select(slope => slope / totals.Tokens)];
        Assert.InRange(SampleSequences.Distance(sum, together), 0, Rounding.OfBackward(SampleSequences.Shape, 30));
        var embedding = (int)_models.Models[0].ShapeOf("model.embed_tokens.weight")[0];
        Assert.True(one.Take(embedding).Any(slope => slope != 0) && other.Take(embedding).Any(slope => slope != 0));
        var own = (int)_models.Models[1].OffsetOf("model.layers.1.mlp.down_proj.weight");
        Assert.Equal(0, one[own]);
        Assert.NotEqual(0, other[own]);
    }

    [Fact]
    public void Accumulate_OtherWorkers_GivesTheSameBits()
    {
        TestDevice.SkipUnlessBitsRepeat();
        var batch = Batch(16);

        var (totals, gradient) = Accumulate(batch, Balance(), workers: 1);
        var (others, same) = Accumulate(batch, Balance(), workers: 3);

        Assert.Equal(gradient, same);
        Assert.Equal(totals.Loss, others.Loss);
    }

    /// <summary>A loss is a mean over the step's items, however the step is cut into passes.</summary>
    [Fact]
    public void Accumulate_OtherMicroBatches_GivesTheSameGradientButForRounding()
    {
        var batch = Batch(16);

        var (totals, gradient) = Accumulate(batch, Balance(), tokens: 20);
        var (others, same) = Accumulate(batch, Balance(), tokens: 1_000);

        Assert.InRange(SampleSequences.Distance(gradient, same), 0, Rounding.OfBackward(SampleSequences.Shape, 30));
        Assert.Equal(totals.Loss, others.Loss, Rounding.OfForward(SampleSequences.Shape, 30) * totals.Loss);
    }

    /// <summary>A text beside others has the labels that it has alone.</summary>
    [Fact]
    public void Of_TextsTogether_AreLabelledAsEachAlone()
    {
        TraceTokens[] texts = [.. Batch(20).Where(sequence => sequence.Labels!.Task == 1)];

        var together = LabelPredictions.Of(_models.Models[1], texts, 1_000, 2, TestContext.Current.CancellationToken);

        foreach (var (text, labels) in texts.Zip(together))
        {
            var alone = LabelPredictions.Of(_models.Models[1], [text], 1_000, 1, TestContext.Current.CancellationToken);
            Rounding.Close(alone[0], labels, Rounding.OfForward(SampleSequences.Shape, 30));
        }
    }

    /// <summary>e^(−s)·L + s/2 by its own formula and central differences; the optimum is where e^s is 2 L.</summary>
    [Fact]
    public void Step_ByUncertainty_FollowsTheSlopesOfItsFormula()
    {
        var balance = new TaskBalance([("a", 1), ("b", 0.5)], learningRate: 0.05);
        var (means, items) = (new[] { 0.4, 3.0 }, new[] { 3L, 50L });
        var options = new OptimizationOptions();

        for (var step = 0; step < 2_000; step++)
        {
            var s = balance.LogVariances.ToArray();
            var totals = Totals();
            Assert.Equal(Formula(s), totals.Loss / totals.Tokens, 1e-9);
            foreach (var (task, slope) in balance.Gradient(totals).Index())
            {
                double[] up = [.. s.Select((value, i) => value + (i == task ? 1e-5 : 0))],
                    down = [.. s.Select((value, i) => value - (i == task ? 1e-5 : 0))];
                Assert.Equal((Of(up) - Of(down)) / 2e-5, slope, 1e-6);
            }

            balance.Step(options, totals, share: 1, step + 1);
        }

        Assert.Equal(Math.Log(2 * 0.4), balance.LogVariances[0], 0.01);
        Assert.Equal(Math.Log(2 * 3.0), balance.LogVariances[1], 0.01);

        double Formula(float[] s) => Of([.. s.Select(value => (double)value)]);

        double Of(double[] s) => (Math.Exp(-s[0]) * means[0]) + (s[0] / 2) + (0.5 * ((Math.Exp(-s[1]) * means[1]) + (s[1] / 2)));

        // As the workers sum: each item's loss with its factor, and each task's by itself.
        LossTotals Totals()
        {
            var factors = balance.At([.. items.Select((count, task) => Sequence(task, (int)count))], TrainingPoint.First).Factors;
            return balance.With(
                new LossTotals(
                    items.Select((count, task) => factors[task] * means[task] * count).Sum(),
                    [.. items.Select((count, task) => new TermTotal(task == 0 ? "a" : "b", means[task] * count, count))],
                    items.Sum(),
                    0
                )
            );
        }

        static TraceTokens Sequence(int task, int count) =>
            new(new int[count], count, null) { Labels = new LabelTargets(task, [.. Enumerable.Range(0, count)], [], []) };
    }

    [Fact]
    public void Step_WithFixedWeights_LeavesThemAsTheyAre()
    {
        var balance = Balance();

        balance.Step(new OptimizationOptions(), new LossTotals(1, [new("text", 3, 1), new("token", 2, 1)], 2, 0), 1, 1);

        Assert.Equal([0, 0], balance.LogVariances.ToArray());
        Assert.Empty(balance.ToValues());
    }

    static TaskBalance Balance() =>
        new([("text", 1), ("token", 0.5)], learningRate: null) { Temperature = Schedule.Constant(Temperature), Smoothing = Smoothing };

    (LossTotals Totals, float[] Gradient) Accumulate(TraceTokens[] batch, TaskBalance balance, int workers = 2, int tokens = 60)
    {
        var weights = TrainedWeights.All(_models);
        return TestDevice.With(weights, () =>
        {
            using var all = new GradientWorkers(weights, workers, tokens);
            var objectives = ObjectivePlan.Classic(Alpha, Temperature).At(TrainingPoint.First);
            var totals = all.Accumulate(batch, objectives with { Tasks = balance.At(batch, TrainingPoint.First) });
            var gradient = new float[weights.Count];
            all.Gradient.Read(0, gradient);
            return (totals, gradient);
        });
    }

    void Move(ReferenceLlama[] references, double[] direction, double step)
    {
        foreach (var (reference, model) in references.Zip(_models.Models))
        {
            foreach (var name in model.Names)
            {
                using var scope = NewDisposeScope();
                var first = (int)model.OffsetOf(name);
                double[] mine = [.. direction[first..(first + model.Values(name).Length)].Select(value => step * value)];
                reference.Weight(name).add_(tensor(mine, model.ShapeOf(name)));
            }
        }
    }

    static IEnumerable<double> Losses(ReferenceLlama reference, int task, TraceTokens sequence)
    {
        using var scope = NewDisposeScope();
        var hidden = reference.Forward(sequence.Ids);
        var z = hidden.matmul(reference.Weight("score.weight").t());
        var logits = (task == 1 ? z + reference.Weight("score.bias") : z).data<double>().ToArray().Chunk(3).ToArray();
        var labels = sequence.Labels!;
        foreach (var (row, item) in labels.Rows.Select((row, item) => (row, item)))
        {
            var q = ReferenceLoss.Softmax(logits[row]);
            double? hard =
                labels.Given.Length == 0
                    ? null
                    : -q.Select((value, i) => (((1 - Smoothing) * labels.Given[(item * 3) + i]) + (Smoothing / 3)) * Math.Log(value)).Sum();
            double? soft = null;
            if (labels.Taught.Length > 0)
            {
                double[] t = ReferenceLoss.Softmax([.. labels.Taught[(item * 3)..((item * 3) + 3)].Select(value => value / Temperature)]),
                    s = ReferenceLoss.Softmax([.. logits[row].Select(value => value / Temperature)]);
                soft = Temperature * Temperature * t.Zip(s, (a, b) => a * Math.Log(a / b)).Sum();
            }

            yield return hard is null ? soft!.Value
            : soft is null ? hard.Value
            : ((1 - Alpha) * hard.Value) + (Alpha * soft.Value);
        }
    }

    static TaskParameters Models(int shared)
    {
        var shape = SampleSequences.Shape;
        string[] labels = ["x", "y", "z"];
        var models = new TaskParameters(
            [
                ("text", shape with { Head = new ClassificationHead(LabelKind.Sequence, labels) }),
                ("token", shape with { Head = new ClassificationHead(LabelKind.Token, labels) }),
            ],
            shared
        );
        models.Models[0].Initialize(3);
        models.Models[1].Initialize(4);
        return models;
    }

    /// <summary>Texts of either task by turns; of three, one has certain labels, one soft ones and one none, but a teacher.</summary>
    static TraceTokens[] Batch(int count)
    {
        var random = new Random(8);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(number =>
                {
                    var ids = Enumerable.Range(0, random.Next(6, 25)).Select(_ => random.Next(40)).ToArray();
                    int[] rows = number % 2 == 0 ? [ids.Length - 1] : [.. Enumerable.Range(1, ids.Length - 2)];
                    float[] given = [.. rows.SelectMany(_ => Distribution(random, isCertain: number % 3 == 0))],
                        taught = [.. rows.SelectMany(_ => Distribution(random, isCertain: false).Select(value => MathF.Log(value)))];
                    return new TraceTokens(ids, ids.Length, null)
                    {
                        Labels = new LabelTargets(number % 2, rows, number % 3 == 2 ? [] : given, number % 6 == 0 ? [] : taught),
                    };
                }),
        ];
    }

    static float[] Distribution(Random random, bool isCertain)
    {
        if (isCertain)
        {
            var one = new float[3];
            one[random.Next(3)] = 1;
            return one;
        }

        double[] shares = [.. Enumerable.Range(0, 3).Select(_ => 0.1 + random.NextDouble())];
        return [.. shares.Select(share => (float)(share / shares.Sum()))];
    }
}
