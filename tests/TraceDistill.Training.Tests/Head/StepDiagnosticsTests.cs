using TorchSharp;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Head;

/// <summary>Figures beside the losses, against the slopes q − p and q − [drawn] of the dense formulas in float64.</summary>
[Trait("Category", "Numeric")]
public class StepDiagnosticsTests
{
    const int V = 24,
        Tokens = 5;
    static readonly double Tolerance = 20 * Rounding.Of(V + 10);
    readonly double[][] _z = [.. Enumerable.Range(0, Tokens).Select(row => Row(row, 1.7))],
        _p = [.. Enumerable.Range(0, Tokens).Select(row => ReferenceLoss.Softmax(Row(row, 2.3)))];

    [Theory]
    [InlineData(V, false)]
    [InlineData(V, true)]
    [InlineData(3, false)]
    public void Measured_SoftAndHardLoss_AreThoseOfTheirSlopes(int k, bool isWhole)
    {
        using var scope = NewDisposeScope();
        var batch = Batch(k);
        var plan = ObjectivePlan.Classic(0.6, 1).At(TrainingPoint.First) with { Measures = true };
        var targets = TargetRows.Of(batch, 0, Tokens, TestDevice.Current);
        var student = StudentRows.Of(
            tensor(_z.SelectMany(row => row.Select(value => (float)value)).ToArray(), device: TestDevice.Current).reshape(Tokens, V),
            targets,
            isWhole
        );
        var weighted = new WeightedObjectives(plan);

        weighted.Evaluate(student, targets).backward();
        var totals = weighted.Totals();
        var values = new StepMetrics(totals, 1, 1, 1, plan).ToValues();

        double[][] hard = [.. Enumerable.Range(0, Tokens).Select(row => Hard(row))],
            soft = [.. Enumerable.Range(0, Tokens).Select(row => Soft(row, k))];
        Assert.Equal(Math.Sqrt(Dot(hard, hard) / Tokens), values["grad_norm_ce"], Tolerance);
        Assert.Equal(Math.Sqrt(Dot(soft, soft) / (Tokens - 1)), values["grad_norm_kd"], Tolerance);
        int[] taught = [.. Enumerable.Range(0, Tokens - 1)];
        var shared = Dot(hard[..^1], hard[..^1]);
        Assert.Equal(Dot(soft, hard) / Math.Sqrt(Dot(soft, soft) * shared), values["grad_cosine"], Tolerance);
        Assert.Equal(taught.Average(row => Entropy(Outcomes(_p[row], row, k))), values["teacher_entropy"], Tolerance);
        Assert.Equal(taught.Average(row => Entropy(Outcomes(Q(row), row, k))), values["student_entropy"], Tolerance);
        Assert.Equal(taught.Average(row => Best(_p[row]) == Best(Q(row)) ? 1 : 0), values["top1"], 1e-12);
        Assert.Equal(taught.Average(row => Ids(row, k).Sum(id => _p[row][id])), values["covered_mass"], Tolerance);
        Assert.Equal(taught.Count(row => !Ids(row, k).Contains(Drawn(row))), values["drawn_outside"]);
        Assert.Equal(1, values["untaught"]);
        Assert.Equal(0.6, values["kd_alpha"]);
    }

    /// <summary>What becomes of what the teacher left out changes nothing of what it reported.</summary>
    [Theory]
    [InlineData(MissingMass.TailBucket, SoftTargetSampling.None)]
    [InlineData(MissingMass.Renormalize, SoftTargetSampling.None)]
    [InlineData(MissingMass.UniformTail, SoftTargetSampling.None)]
    [InlineData(MissingMass.ResidualToLabel, SoftTargetSampling.None)]
    [InlineData(MissingMass.Truncate, SoftTargetSampling.None)]
    [InlineData(MissingMass.TailBucket, SoftTargetSampling.SampledTopK)]
    [InlineData(MissingMass.TailBucket, SoftTargetSampling.RandomSampling)]
    public void Measured_AnyPolicy_TellsWhatTheTeacherReported(MissingMass missingMass, SoftTargetSampling sampling)
    {
        using var scope = NewDisposeScope();
        var (isWhole, k) = (sampling == SoftTargetSampling.RandomSampling, 3);
        var policy = new TargetPolicy
        {
            MissingMass = missingMass,
            Sampling = sampling,
            Draws = 4,
        };
        ulong[] keys = [.. Enumerable.Range(1, Tokens).Select(row => (ulong)row)];
        var stated = TargetRows.Of(Batch(k), 0, Tokens, TestDevice.Current);
        var teacher = tensor(_p.SelectMany(row => row.Select(p => (float)Math.Log(p))).ToArray(), device: TestDevice.Current);
        var targets = isWhole ? stated.With(teacher.reshape(Tokens, V), V, policy, keys) : stated.As(V, policy, keys);
        var student = StudentRows.Of(
            tensor(_z.SelectMany(row => row.Select(value => (float)value)).ToArray(), device: TestDevice.Current).reshape(Tokens, V),
            targets
        );
        var plan = (ObjectivePlan.Classic(0.6, 1) with { Policy = policy }).At(TrainingPoint.First) with { Measures = true };
        var weighted = new WeightedObjectives(plan);

        weighted.Evaluate(student, targets).backward();
        var values = new StepMetrics(weighted.Totals(), 1, 1, 1, plan).ToValues();

        // A model says something of every token; of stored soft targets the last token has none.
        int[] taught = [.. Enumerable.Range(0, isWhole ? Tokens : Tokens - 1)];
        var seen = isWhole ? V : k;
        Assert.Equal(taught.Average(row => Entropy(Outcomes(_p[row], row, seen))), values["teacher_entropy"], Tolerance);
        Assert.Equal(taught.Average(row => Ids(row, seen).Sum(id => _p[row][id])), values["covered_mass"], Tolerance);
        Assert.Equal(taught.Count(row => !Ids(row, seen).Contains(Drawn(row))), values["drawn_outside"]);
        Assert.Equal(Tokens - taught.Length, values["untaught"]);
        if (sampling == SoftTargetSampling.None)
        {
            Assert.Equal(taught.Average(row => Best(_p[row]) == Best(Q(row)) ? 1 : 0), values["top1"], 1e-12);
        }
        else
        {
            Assert.False(values.ContainsKey("top1"));
        }
    }

    /// <summary>How often a token was drawn is not how probable the teacher finds it, nor the token drawn most often its best.</summary>
    [Fact]
    public void Measured_StoredDraws_TellNothingOfTheTeacher()
    {
        using var scope = NewDisposeScope();
        var plan = ObjectivePlan.Classic(0.6, 1).At(TrainingPoint.First) with { Measures = true };
        // The first two tokens' alternatives are drawn; the last token has none.
        var targets = TargetRows.Of(Batch(3) with { AreDraws = [true, true, false, false, false] }, 0, Tokens, TestDevice.Current);
        var student = StudentRows.Of(
            tensor(_z.SelectMany(row => row.Select(value => (float)value)).ToArray(), device: TestDevice.Current).reshape(Tokens, V),
            targets
        );
        var weighted = new WeightedObjectives(plan);

        weighted.Evaluate(student, targets).backward();
        var values = new StepMetrics(weighted.Totals(), 1, 1, 1, plan) { Untold = 1 }.ToValues();

        int[] stated = [2, 3],
            taught = [0, 1, 2, 3];
        Assert.Equal(stated.Average(row => Entropy(Outcomes(_p[row], row, 3))), values["teacher_entropy"], Tolerance);
        Assert.Equal(stated.Average(row => Ids(row, 3).Sum(id => _p[row][id])), values["covered_mass"], Tolerance);
        Assert.Equal(stated.Count(row => !Ids(row, 3).Contains(Drawn(row))), values["drawn_outside"]);
        Assert.Equal(stated.Average(row => Best(_p[row]) == Best(Q(row)) ? 1 : 0), values["top1"], 1e-12);
        Assert.Equal(taught.Average(row => Entropy(Outcomes(Q(row), row, 3))), values["student_entropy"], Tolerance);
        Assert.Equal((1, 1), (values["untaught"], values["untaught_texts"]));
    }

    [Fact]
    public void Evaluate_Measured_HasTheBitsOfAStepThatIsNot()
    {
        Assert.Equal(Gradient(false), Gradient(true));

        float[] Gradient(bool measures)
        {
            using var scope = NewDisposeScope();
            var targets = TargetRows.Of(Batch(3), 0, Tokens, TestDevice.Current);
            float[] logits = [.. _z.SelectMany(row => row.Select(value => (float)value))];
            var student = StudentRows.Of(tensor(logits, device: TestDevice.Current).reshape(Tokens, V), targets);
            var plan = ObjectivePlan.Classic(0.6, 1.5).At(TrainingPoint.First) with { Measures = measures };
            new WeightedObjectives(plan).Evaluate(student, targets).backward();
            return [.. student.LogitGradient().cpu().data<float>()];
        }
    }

    /// <summary>At a gradient three times as large, the soft loss counts a third: α goes to 1/4, a tenth of the way at a time.</summary>
    [Fact]
    public void Adapt_GradientBalance_FollowsTheNorms()
    {
        var plan = ObjectivePlan.Classic(new Schedule { Kind = ScheduleKind.GradientBalance, From = 0.5 }, Schedule.Constant(1));
        var state = new AdaptiveState(plan.Adapts);
        var at = new TrainingPoint(20, 100, state);
        Assert.True(plan.Measures(20));
        Assert.False(plan.Measures(21));
        var totals = new LossTotals(1, [new("ce", 1, 4), new("kd", 1, 4)], 4, 4)
        {
            Measured = new StepDiagnostics([9, -1, -1, 36], [4, -1, -1, 36], default),
        };
        Assert.Equal(0.5, plan.At(at).Alpha);

        plan.Adapt(state, totals, at);

        Assert.Equal(0.475, plan.At(at).Alpha!.Value, 1e-12);
        Assert.Equal(0.475, plan.At(at).Terms.Single(term => term.Objective is KlForward).SoftWeight, 1e-12);
        Assert.Equal(0.525, plan.At(at).Terms.Single(term => term.Objective is CrossEntropy).SoftWeight, 1e-12);
    }

    double[] Q(int row) => ReferenceLoss.Softmax(_z[row]);

    double[] Hard(int row) => [.. Q(row).Select((q, i) => q - (i == Drawn(row) ? 1 : 0))];

    /// <summary>Of KL over the reported tokens and the tail: q − p for those, and the tail's difference shared out by q.</summary>
    double[] Soft(int row, int k)
    {
        if (row == Tokens - 1)
        {
            return new double[V];
        }

        int[] ids = Ids(row, k);
        double restP = 1 - ids.Sum(id => _p[row][id]),
            restQ = 1 - ids.Sum(id => Q(row)[id]);
        return [.. Q(row).Select((q, i) => ids.Contains(i) ? q - _p[row][i] : (restQ - restP) * q / restQ)];
    }

    double[] Outcomes(double[] of, int row, int k)
    {
        int[] ids = Ids(row, k);
        double[] reported = [.. ids.Select(id => of[id])];
        return k == V ? reported : [.. reported, 1 - reported.Sum()];
    }

    int[] Ids(int row, int k) => [.. Enumerable.Range(0, V).OrderByDescending(i => _p[row][i]).Take(k)];

    PackedBatch Batch(int k) =>
        new()
        {
            Ids = new int[Tokens],
            Lengths = [Tokens],
            Rows = [.. Enumerable.Range(0, Tokens)],
            Targets = [.. Enumerable.Range(0, Tokens).Select(Drawn)],
            // The last token has no soft targets.
            SoftStarts = [.. Enumerable.Range(0, Tokens).Select(row => row * k), (Tokens - 1) * k],
            SoftIds = [.. Enumerable.Range(0, Tokens - 1).SelectMany(row => Ids(row, k))],
            SoftLogprobs = [.. Enumerable.Range(0, Tokens - 1).SelectMany(row => Ids(row, k).Select(id => (float)Math.Log(_p[row][id])))],
            Tails =
            [
                .. Enumerable
                    .Range(0, Tokens)
                    .Select(row => k == V ? float.NegativeInfinity : (float)Math.Log(1 - Ids(row, k).Sum(id => _p[row][id]))),
            ],
            UnmatchedStarts = new int[Tokens + 1],
            Unmatched = [],
        };

    static int Drawn(int row) => (row * 7) % V;

    static double[] Row(int row, double step) => [.. Enumerable.Range(0, V).Select(i => 2 * Math.Sin((i + row) * step * (row + 1)))];

    static double Dot(double[][] a, double[][] b) => a.Zip(b, (x, y) => x.Zip(y, (u, v) => u * v).Sum()).Sum();

    static double Entropy(double[] of) => -of.Sum(value => value > 0 ? value * Math.Log(value) : 0);

    static int Best(double[] of) => Array.IndexOf(of, of.Max());
}
