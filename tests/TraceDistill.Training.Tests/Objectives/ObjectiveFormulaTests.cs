using TorchSharp;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>
/// Loss and slopes of every objective that compares distributions, under every policy that it goes with, are those of its formula in
/// float64 and of the formula's central differences.
/// </summary>
[Trait("Category", "Numeric")]
public class ObjectiveFormulaTests
{
    const int V = 40;

    /// <summary>Objectives of a dense teacher, beside the policies of a truncated one.</summary>
    const string Dense = "dense";

    static readonly string[] Compared =
    [
        .. KnownObjectives
            .All.Where(pair => pair.Value is { NeedsSoftTargets: true, NeedsDenseTeacher: false } and not UniversalLogit)
            .Select(pair => pair.Key),
    ];

    public static TheoryData<string, string> Pairs =>
        [
            .. from key in Compared
            from policy in Enum.GetValues<MissingMass>().Select(policy => policy.ToString()).Append(Dense)
            where policy == Dense || KnownObjectives.All[key].Refuses(Enum.Parse<MissingMass>(policy)) is null
            select (key, policy),
        ];

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Loss_EveryPolicy_HasValueAndSlopesOfTheFormula(string key, string policy)
    {
        var random = new Random(11);
        foreach (var k in policy == Dense ? [V] : new[] { 1, 5, 20, V })
        {
            foreach (var tail in k == V ? [0] : new[] { 0, 1e-6, 0.3, 0.99 })
            {
                foreach (var temperature in KnownObjectives.All[key] is Divergence ? [1, 2.5] : new[] { 1.0 })
                {
                    Check(key, policy, Teacher.Draw(random, k, tail), [.. Logits(random)], temperature);
                }
            }
        }
    }

    /// <summary>A reported token of no probability, and one that is drawn although nothing was reported for it.</summary>
    [Theory]
    [MemberData(nameof(Pairs))]
    public void Loss_ImpossibleTokensAndDrawnOnesOutsideTheTopK_HasValueAndSlopesOfTheFormula(string key, string policy)
    {
        var random = new Random(12);
        foreach (var tail in new[] { 0, 0.2 })
        {
            var teacher = Teacher.Draw(random, policy == Dense ? V : 5, policy == Dense ? 0 : tail);
            if (policy != Dense && key != "listwise_ranking")
            {
                // Its probability goes to the first, so that the rest is as it was.
                teacher.Probabilities[0] += teacher.Probabilities[3];
                teacher.Probabilities[3] = 0;
            }

            var outside = policy == Dense ? 7 : Enumerable.Range(0, V).Except(teacher.Ids).First();
            Check(key, policy, teacher with { Drawn = outside }, [.. Logits(random)], 1);
        }
    }

    /// <summary>Weights and temperatures of a token are constants: they are those of the student before it is varied.</summary>
    [Theory]
    [InlineData(TokenWeight.Confidence, false)]
    [InlineData(TokenWeight.Gap, false)]
    [InlineData(TokenWeight.Uniform, true)]
    [InlineData(TokenWeight.Gap, true)]
    public void Loss_WeightAndTemperatureOfEachToken_HasValueAndSlopesOfTheFormula(TokenWeight weight, bool isByEntropy)
    {
        var random = new Random(13);
        foreach (var k in new[] { 1, 5, V })
        {
            var teacher = Teacher.Draw(random, k, k == V ? 0 : 0.2);
            float[] logits = [.. Logits(random)];
            double[] z = [.. logits.Select(value => (double)value)];
            var plain = teacher.Row(MissingMass.TailBucket, false, z, z, 1);
            var entropy = -plain.P.Sum(p => p > 0 ? p * Math.Log(p) : 0);
            var factor = weight switch
            {
                TokenWeight.Confidence => Math.Exp(-entropy),
                TokenWeight.Gap => 0.5 * plain.P.Zip(plain.Q, (a, b) => Math.Abs(a - b)).Sum(),
                _ => 1,
            };
            var rule = new Schedule
            {
                Kind = ScheduleKind.TeacherEntropy,
                From = 3,
                To = 1,
            };
            var temperature = isByEntropy ? 3 - (2 * (1 - Math.Exp(-entropy))) : 1;
            var objective = new KlForward { TokenWeight = weight, Temperature = isByEntropy ? rule : Schedule.Constant(1) };
            using var scope = NewDisposeScope();
            var targets = teacher.Rows(MissingMass.TailBucket);
            var student = StudentRows.Of(tensor(logits, device: TestDevice.Current).unsqueeze(0), targets);

            var loss = objective.Loss(student, targets, TrainingPoint.First);
            loss.sum().backward();
            float[] gradient = [.. student.LogitGradient().cpu().data<float>()];

            double Formula(double[] at) =>
                factor
                * temperature
                * temperature
                * ObjectiveFormulas.Of("kl_forward", teacher.Row(MissingMass.TailBucket, false, at, z, temperature));
            var tolerance = 20 * temperature * temperature * Rounding.Of(V + 10) * Math.Max(1, Formula(z));
            Close(Formula(z), loss.item<double>(), tolerance, $"k={k}");
            for (var i = 0; i < V; i++)
            {
                Close(ReferenceLoss.Slope(Formula, z, i), gradient[i], tolerance, $"k={k}: slope {i}");
            }
        }
    }

    static IEnumerable<float> Logits(Random random) => Enumerable.Range(0, V).Select(_ => (float)((random.NextDouble() * 8) - 4));

    static void Check(string key, string policy, Teacher teacher, float[] logits, double temperature)
    {
        using var scope = NewDisposeScope();
        var mass = policy == Dense ? MissingMass.TailBucket : Enum.Parse<MissingMass>(policy);
        var objective = KnownObjectives.All[key];
        objective = objective is Divergence divergence ? divergence with { Temperature = Schedule.Constant(temperature) } : objective;
        var targets = teacher.Rows(mass);
        targets =
            policy == Dense
                ? targets.With(
                    tensor(teacher.Whole(), device: TestDevice.Current).log().to(ScalarType.Float32).unsqueeze(0),
                    V,
                    new TargetPolicy(),
                    []
                )
                : targets.As(V, new TargetPolicy { MissingMass = mass }, []);
        var student = StudentRows.Of(tensor(logits, device: TestDevice.Current).unsqueeze(0), targets);

        var loss = objective.Loss(student, targets, TrainingPoint.First);
        loss.sum().backward();
        float[] gradient = [.. student.LogitGradient().cpu().data<float>()];

        double[] z = [.. logits.Select(value => (double)value)];
        double Formula(double[] at) => temperature * temperature * ObjectiveFormulas.Of(key, Row(at));
        ObjectiveFormulas.Row Row(double[] at) => teacher.Row(mass, policy == Dense, at, z, temperature);
        double[] slopes = [.. Enumerable.Range(0, V).Select(i => ReferenceLoss.Slope(Formula, z, i))];
        var expected = Formula(z);
        var about = $"{key} {policy} k={teacher.Ids.Length} tail={teacher.Tail:g3} T={temperature} drawn={teacher.Drawn}";
        // A sum over the vocabulary of float32 numbers and their exponentials, some of which are multiplied by a logarithm of at most 20.
        var tolerance = 20 * temperature * temperature * Rounding.Of(V + 10) * Math.Max(1, Math.Abs(expected));
        Close(expected, loss.to(ScalarType.Float64).item<double>(), tolerance, $"{about}: loss");
        for (var i = 0; i < V; i++)
        {
            Close(slopes[i], gradient[i], tolerance, $"{about}: slope {i}");
        }
    }

    static void Close(double expected, double actual, double tolerance, string about) =>
        Assert.True(Math.Abs(expected - actual) <= tolerance, $"{about}: {actual}, not {expected} (± {tolerance:g3})");

    /// <summary>A teacher that reports some tokens, and what it leaves out.</summary>
    sealed record Teacher(int[] Ids, double[] Probabilities, double Tail, int Drawn)
    {
        public static Teacher Draw(Random random, int k, double tail)
        {
            int[] ids = [.. Enumerable.Range(0, V).OrderBy(_ => random.Next()).Take(k)];
            double[] weights = [.. ids.Select(_ => Math.Exp(random.NextDouble() * 5)).OrderDescending()];
            return new Teacher(ids, [.. weights.Select(weight => (1 - tail) * weight / weights.Sum())], tail, ids[k / 2]);
        }

        public double[] Whole() => [.. Enumerable.Range(0, V).Select(id => Probabilities[Array.IndexOf(Ids, id)])];

        public TargetRows Rows(MissingMass policy) =>
            TargetRows.Of(
                new PackedBatch
                {
                    Ids = [0],
                    Lengths = [1],
                    Rows = [0],
                    Targets = [Drawn],
                    SoftStarts = [0, Ids.Length],
                    SoftIds = Ids,
                    SoftLogprobs = [.. Probabilities.Select(p => (float)Math.Log(p))],
                    Tails = [(float)Math.Log(Tail)],
                    UnmatchedStarts = [0, 0],
                    Unmatched = [],
                },
                0,
                1,
                TestDevice.Current,
                policy
            );

        public ObjectiveFormulas.Row Row(MissingMass policy, bool isDense, double[] z, double[] frozen, double temperature)
        {
            var ids = Ids.ToList();
            // What the float32 of the shards says.
            List<double> p = [.. Probabilities.Select(value => Math.Exp((float)Math.Log(value)))];
            var tail = Math.Exp((float)Math.Log(Tail));
            var hasTail = false;
            if (policy == MissingMass.UniformTail && !isDense)
            {
                int[] others = [.. Enumerable.Range(0, V).Except(Ids)];
                ids.AddRange(others);
                p.AddRange(others.Select(_ => tail / others.Length));
            }
            else if (policy == MissingMass.ResidualToLabel)
            {
                if (!ids.Contains(Drawn))
                {
                    ids.Add(Drawn);
                    p.Add(0);
                }

                p[ids.IndexOf(Drawn)] += tail;
                tail = 0;
            }

            var groups = ids.Select(id => new[] { id }).ToList();
            if (!isDense && policy is MissingMass.TailBucket or MissingMass.ResidualToLabel && ids.Count < V)
            {
                hasTail = true;
                groups.Add([.. Enumerable.Range(0, V).Except(ids)]);
                p.Add(tail);
            }

            var drawn = ids.IndexOf(Drawn);
            return new ObjectiveFormulas.Row(Tempered([.. p]), Of(z), Of(frozen), drawn, hasTail);

            double[] Of(double[] logits)
            {
                var q = ReferenceLoss.Softmax(
                    policy == MissingMass.UniformTail || isDense ? [.. logits.Select(value => value / temperature)] : logits
                );
                double[] outcomes = [.. groups.Select(group => group.Sum(id => q[id]))];
                return policy == MissingMass.UniformTail || isDense ? outcomes : Tempered(outcomes);
            }

            double[] Tempered(double[] of)
            {
                double[] powers = [.. of.Select(value => value > 0 ? Math.Pow(value, 1 / temperature) : 0)];
                return [.. powers.Select(value => value / powers.Sum())];
            }
        }
    }
}
