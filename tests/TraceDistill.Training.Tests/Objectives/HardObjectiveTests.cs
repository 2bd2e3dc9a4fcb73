using TorchSharp;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>Objectives that look at no soft targets, or at a model's logits, and limits in which one is another.</summary>
[Trait("Category", "Numeric")]
public class HardObjectiveTests
{
    const int V = 40;
    static readonly double Tolerance = 20 * Rounding.Of(V + 10);

    [Theory]
    [InlineData("cross_entropy", false)]
    [InlineData("cross_entropy", true)]
    [InlineData("z_loss", false)]
    [InlineData("z_loss", true)]
    [InlineData("label_smoothing", true)]
    [InlineData("entropy_bonus", true)]
    public void Loss_NoSoftTargets_HasValueAndSlopesOfTheFormula(string key, bool isWhole)
    {
        using var scope = NewDisposeScope();
        float[] logits = Logits(3);
        double Formula(double[] z)
        {
            var q = ReferenceLoss.Softmax(z);
            return key switch
            {
                "cross_entropy" => -Math.Log(q[5]),
                "z_loss" => Math.Pow(Math.Log(z.Sum(Math.Exp)), 2),
                "label_smoothing" => -q.Average(Math.Log),
                _ => q.Sum(p => p * Math.Log(p)),
            };
        }

        var targets = Targets();
        var student = StudentRows.Of(Row(logits), targets, isWhole);
        var loss = KnownObjectives.All[key].Loss(student, targets, TrainingPoint.First);
        loss.sum().backward();

        AssertIs(Formula, logits, loss, student);
    }

    [Fact]
    public void LogitMse_DenseTeacher_IsHalfTheMeanSquareOfCentredDifferences()
    {
        using var scope = NewDisposeScope();
        float[] logits = Logits(4),
            teacher = Logits(5);
        double Formula(double[] z)
        {
            double[] difference = [.. z.Zip(teacher, (a, b) => a - b)];
            return 0.5 * difference.Average(value => Math.Pow(value - difference.Average(), 2));
        }

        var targets = Targets().With(Row(teacher), V, new TargetPolicy(), []);
        var student = StudentRows.Of(Row(logits), targets);
        var loss = new LogitMse().Loss(student, targets, TrainingPoint.First);
        loss.sum().backward();

        AssertIs(Formula, logits, loss, student);
    }

    /// <summary>Hinton et al., arXiv 1503.02531, section 2.1: in float64, the difference falls with 1/T.</summary>
    [Fact]
    public void LogitMse_KdAtAHighTemperature_IsTheSame()
    {
        double[] z = [.. Logits(6)],
            v = [.. Logits(7)];
        double[] difference = [.. z.Zip(v, (a, b) => a - b)];
        var mse = 0.5 * difference.Average(value => Math.Pow(value - difference.Average(), 2));
        foreach (var temperature in new[] { 100.0, 1000 })
        {
            using var scope = NewDisposeScope();
            var targets = Targets().With(Wide(v), V, new TargetPolicy(), []);
            var student = StudentRows.Of(Wide(z), targets);
            var kd = new KlForward { Temperature = Schedule.Constant(temperature) }.Loss(student, targets, TrainingPoint.First);

            Assert.Equal(mse, kd.item<double>(), 20 / temperature * mse);
        }
    }

    [Theory]
    [InlineData(1, 0, "kl_forward")]
    [InlineData(0, 1, "kl_reverse")]
    public void AlphaBeta_AnExponentOfZero_IsTheLimit(double alpha, double beta, string key)
    {
        using var scope = NewDisposeScope();
        double[] z = [.. Logits(8)],
            v = [.. Logits(9)];
        double Loss(TokenObjective objective)
        {
            var targets = Targets().With(Wide(v), V, new TargetPolicy(), []);
            return objective.Loss(StudentRows.Of(Wide(z), targets), targets, TrainingPoint.First).item<double>();
        }

        var limit = Loss(new AlphaBeta { Alpha = alpha, Beta = beta });

        Assert.Equal(Loss(KnownObjectives.All[key]), limit, 1e-9);
        double[] p = ReferenceLoss.Softmax(v),
            q = ReferenceLoss.Softmax(z);
        const double Near = 1e-6;
        Assert.Equal(ObjectiveFormulas.AlphaBeta(p, q, Math.Max(alpha, Near), Math.Max(beta, Near)), limit, 1e-3 * limit);
        Assert.Equal(
            ObjectiveFormulas.AlphaBeta(p, q, 0.5, Near),
            Loss(new AlphaBeta { Alpha = 0.5, Beta = 0 }),
            1e-3 * Loss(new AlphaBeta { Alpha = 0.5, Beta = 0 })
        );
        Assert.Equal(
            ObjectiveFormulas.AlphaBeta(p, q, Near, 0.5),
            Loss(new AlphaBeta { Alpha = 0, Beta = 0.5 }),
            1e-3 * Loss(new AlphaBeta { Alpha = 0, Beta = 0.5 })
        );
    }

    [Fact]
    public void Taid_SharesAtEveryStep_FollowTheRuleOfThePaper()
    {
        var taid = new Taid { StepSize = 0.1, Decay = 0.9 };
        var state = new AdaptiveState(taid.Adapts);
        double t = 0.4,
            momentum = 0,
            former = 0;
        double[] losses = [3, 2, 2.5, 1, 0.9, 0.9, 0.5, 0.4, 0.4, 0.3];
        foreach (var (step, loss) in losses.Index())
        {
            former = step == 0 ? loss : former;
            momentum = (0.9 * momentum) + (0.1 * (former - loss) / (former + 1e-8));
            t = Math.Min(1, Math.Max(0.4 + (0.6 * (step + 1) / 20), t + (0.1 / (1 + Math.Exp(-momentum)) * (1 - t))));
            former = loss;

            taid.Adapt(state, loss, new TrainingPoint(step, 20, state));

            Assert.Equal(t, state.Get("taid.t", 0.4), 1e-12);
        }

        taid.Adapt(state, 0.3, new TrainingPoint(19, 20, state));
        Assert.Equal(1, state.Get("taid.t", 0.4), 1e-12);
    }

    /// <summary>At a share of the teacher of 1 it is the teacher.</summary>
    [Fact]
    public void Taid_AtItsEnd_IsForwardKl()
    {
        using var scope = NewDisposeScope();
        double[] z = [.. Logits(8)],
            v = [.. Logits(9)];
        double Loss(TokenObjective objective)
        {
            var targets = Targets().With(Wide(v), V, new TargetPolicy(), []);
            return objective.Loss(StudentRows.Of(Wide(z), targets), targets, TrainingPoint.First).item<double>();
        }

        Assert.Equal(Loss(new KlForward()), Loss(new Taid { TStart = 1 }), 1e-12);
    }

    static void AssertIs(Func<double[], double> formula, float[] logits, Tensor loss, StudentRows student)
    {
        double[] z = [.. logits.Select(value => (double)value)];
        Assert.Equal(formula(z), loss.to(ScalarType.Float64).item<double>(), Tolerance * Math.Max(1, Math.Abs(formula(z))));
        float[] gradient = [.. student.LogitGradient().cpu().data<float>()];
        Assert.All(Enumerable.Range(0, V), i => Assert.Equal(ReferenceLoss.Slope(formula, z, i), gradient[i], Tolerance * 10));
    }

    static float[] Logits(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, V).Select(_ => (float)((random.NextDouble() * 6) - 3))];
    }

    static Tensor Row(float[] values) => tensor(values, device: TestDevice.Current).unsqueeze(0);

    static Tensor Wide(double[] values) => tensor(values, device: TestDevice.Current).unsqueeze(0);

    /// <summary>A drawn token and nothing else.</summary>
    static TargetRows Targets() =>
        TargetRows.Of(
            new PackedBatch
            {
                Ids = [0],
                Lengths = [1],
                Rows = [0],
                Targets = [5],
                SoftStarts = [0, 0],
                SoftIds = [],
                SoftLogprobs = [],
                Tails = [0],
                UnmatchedStarts = [0, 0],
                Unmatched = [],
            },
            0,
            1,
            TestDevice.Current
        );
}
