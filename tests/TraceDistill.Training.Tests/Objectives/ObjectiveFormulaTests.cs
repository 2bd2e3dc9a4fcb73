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

    /// <summary>Other settings than the defaults, which may hide what is the wrong way round.</summary>
    static readonly Dictionary<string, TokenObjective> Settings = new()
    {
        ["jsd"] = new JensenShannon { Beta = 0.3 },
        ["skew_kl_forward"] = new SkewKlForward { Alpha = 0.2 },
        ["skew_kl_reverse"] = new SkewKlReverse { Alpha = 0.2 },
        ["alpha_beta"] = new AlphaBeta { Alpha = 0.4, Beta = 1.3 },
        ["taid"] = new Taid { TStart = 0.7 },
        ["adaptive_kl"] = new AdaptiveKl { Mu = 0.6 },
        ["dkd"] = new DecoupledKd { Alpha = 0.7, Beta = 3 },
    };

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
            var targets = teacher.Rows();
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

    /// <summary>Rows of fewer soft targets, or of none, are filled up: each has the loss and the slopes that it has alone.</summary>
    [Theory]
    [MemberData(nameof(Pairs))]
    public void Loss_RowsOfDifferentK_AreAsEachRowAlone(string key, string policy)
    {
        if (policy == Dense)
        {
            return; // one row is as long as another
        }

        var random = new Random(14);
        using var scope = NewDisposeScope();
        var mass = Enum.Parse<MissingMass>(policy);
        var objective = Settings.GetValueOrDefault(key) ?? KnownObjectives.All[key];
        Teacher[] teachers = [Teacher.Draw(random, 6, 0.2), Teacher.Draw(random, 2, 0.1), new([], [], 0, 3), Teacher.Draw(random, 1, 0.4)];
        float[][] logits = [.. teachers.Select(_ => Logits(random).ToArray())];
        var (losses, gradient) = Evaluate(teachers, logits);

        foreach (var (row, teacher) in teachers.Index().Where(at => at.Item.Ids.Length > 0))
        {
            var (alone, slopes) = Evaluate([teacher], [logits[row]]);
            Close(alone[0], losses[row], 1e-5 * Math.Max(1, alone[0]), $"{key} {policy} row {row}");
            for (var i = 0; i < V; i++)
            {
                Close(slopes[i], gradient[(row * V) + i], Rounding.Of(V + 10), $"{key} {policy} row {row}: slope {i}");
            }
        }

        (double[] Losses, float[] Gradient) Evaluate(Teacher[] rows, float[][] values)
        {
            var targets = Teacher.Rows(rows).As(V, new TargetPolicy { MissingMass = mass }, []);
            float[] flat = [.. values.SelectMany(value => value)];
            var student = StudentRows.Of(tensor(flat, device: TestDevice.Current).reshape(rows.Length, V), targets);
            var loss = objective.Loss(student, targets, TrainingPoint.First).to(ScalarType.Float64);
            loss.dot(targets.HasSoft).backward();
            return ([.. loss.cpu().data<double>()], [.. student.LogitGradient().cpu().data<float>()]);
        }
    }

    /// <summary>A teacher whose output has fewer words than the student's: nothing of it is no number.</summary>
    [Fact]
    public void Loss_TeacherOfFewerWords_LooksAtThoseThatItHas()
    {
        var random = new Random(15);
        foreach (var (key, objective) in KnownObjectives.All.Where(pair => pair.Value is { NeedsSoftTargets: true } and not UniversalLogit))
        {
            using var scope = NewDisposeScope();
            var teacher = Teacher.Draw(random, 1, 0);
            float[] mine = [.. Logits(random)],
                theirs = [.. Logits(random).Take(V - 6)];
            theirs[0] = 30; // sure: the others are below what a zero counts as
            var targets = teacher.Rows().With(tensor(theirs, device: TestDevice.Current).unsqueeze(0), V, new(), []);
            var student = StudentRows.Of(tensor(mine, device: TestDevice.Current).unsqueeze(0), targets);

            var loss = objective.Loss(student, targets, TrainingPoint.First);
            loss.sum().backward();
            float[] gradient = [.. student.LogitGradient().cpu().data<float>()];

            Assert.True(double.IsFinite(loss.to(ScalarType.Float64).item<double>()), key);
            Assert.All(gradient, slope => Assert.True(float.IsFinite(slope), key));
            if (key is "ntce_kd" or "dkd" or "listwise_ranking" or "logit_mse" or "kl_forward")
            {
                // A word that the teacher does not have is not asked for.
                Assert.All(gradient.Skip(V - 6), slope => Assert.InRange(slope, -Rounding.Of(V + 10), double.MaxValue));
            }
        }
    }

    static IEnumerable<float> Logits(Random random) => Enumerable.Range(0, V).Select(_ => (float)((random.NextDouble() * 8) - 4));

    static void Check(string key, string policy, Teacher teacher, float[] logits, double temperature)
    {
        using var scope = NewDisposeScope();
        var mass = policy == Dense ? MissingMass.TailBucket : Enum.Parse<MissingMass>(policy);
        var objective = Settings.GetValueOrDefault(key) ?? KnownObjectives.All[key];
        objective = objective is Divergence divergence ? divergence with { Temperature = Schedule.Constant(temperature) } : objective;
        var targets = teacher.Rows();
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

        public TargetRows Rows() => Rows([this]);

        public static TargetRows Rows(Teacher[] teachers) =>
            TargetRows.Of(
                new PackedBatch
                {
                    Ids = new int[teachers.Length],
                    Lengths = [teachers.Length],
                    Rows = [.. Enumerable.Range(0, teachers.Length)],
                    Targets = [.. teachers.Select(teacher => teacher.Drawn)],
                    SoftStarts =
                    [
                        .. Enumerable.Range(0, teachers.Length + 1).Select(row => teachers.Take(row).Sum(teacher => teacher.Ids.Length)),
                    ],
                    SoftIds = [.. teachers.SelectMany(teacher => teacher.Ids)],
                    SoftLogprobs = [.. teachers.SelectMany(teacher => teacher.Probabilities.Select(p => (float)Math.Log(p)))],
                    Tails = [.. teachers.Select(teacher => (float)Math.Log(teacher.Tail))],
                    UnmatchedStarts = new int[teachers.Length + 1],
                    Unmatched = [],
                },
                0,
                teachers.Length,
                TestDevice.Current
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
            else if (policy == MissingMass.Truncate)
            {
                tail = 0;
            }

            var groups = ids.Select(id => new[] { id }).ToList();
            if (!isDense && policy is MissingMass.TailBucket or MissingMass.ResidualToLabel or MissingMass.Truncate && ids.Count < V)
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
