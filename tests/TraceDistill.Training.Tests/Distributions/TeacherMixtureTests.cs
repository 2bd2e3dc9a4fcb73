using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Distributions;

/// <summary>Averages of several teachers beside the same written out in float64, a token at a time.</summary>
[Trait("Category", "Numeric")]
public sealed class TeacherMixtureTests
{
    const int Vocabulary = 30,
        Rows = 6;

    static readonly PanelMember[] Members = [new(0, 0.5, 0), new(1, 2, 3), new(2, 1, 1)];

    /// <summary>Each teacher by token: ids and probabilities of what it reports; nothing where it is silent.</summary>
    readonly (int[] Ids, double[] P)[][] _told = [.. Enumerable.Range(0, 3).Select(teacher => Told(teacher, k: 4 + (2 * teacher)))];
    readonly int[] _drawn = [.. Enumerable.Range(0, Rows).Select(row => (row * 5) % Vocabulary)];

    public static TheoryData<TeacherAverage, TeacherWeights> All =>
        new(from average in Enum.GetValues<TeacherAverage>() from rule in Enum.GetValues<TeacherWeights>() select (average, rule));

    /// <summary>Over the union of what they report and one outcome more; numbers are float32 where they come in.</summary>
    [Theory, MemberData(nameof(All))]
    public void Mixture_StoredTeachers_IsThatOfTheFormula(TeacherAverage average, TeacherWeights rule)
    {
        using var scope = NewDisposeScope();
        var scores = Scores();
        var rows = Panel([]);

        var mixture = new TeacherMixture(rows, average, rule, rule == TeacherWeights.Gate ? tensor(scores).reshape(Rows, 3) : null);

        for (var row = 0; row < Rows; row++)
        {
            var union = Union(row);
            double[][] p = [.. Enumerable.Range(0, 3).Select(teacher => Coarse(teacher, row, union))];
            var w = Weights(row, p, rule, Gate(scores, row), hasTail: true);
            var expected = Average(p, w, average);
            var ids = rows.Ids![row].data<long>().ToArray();
            var isPresent = rows.IsPresent![row].data<bool>().ToArray();
            var actual = mixture.LogProbabilities[row].exp().data<double>().ToArray();
            Assert.Equal(union.Select(id => (long)id), ids.Where((_, i) => isPresent[i]));
            for (var i = 0; i < union.Length; i++)
            {
                Assert.Equal(expected[i], actual[i], 1e-12);
            }

            Assert.Equal(expected[^1], actual[^1], 1e-12);
            Assert.Equal(1, actual.Sum(), 1e-12);
            Assert.All(w.Zip(mixture.LogWeights[row].exp().data<double>().ToArray()), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
        }
    }

    /// <summary>Two models beside a stored teacher, whose tail is spread over all other words; in float32.</summary>
    [Theory, MemberData(nameof(All))]
    public void Mixture_ModelsBesideAStoredTeacher_IsThatOfTheFormula(TeacherAverage average, TeacherWeights rule)
    {
        using var scope = NewDisposeScope();
        var random = new Random(3);
        double[][][] logits =
        [
            .. new[] { Vocabulary, Vocabulary + 2 }.Select(width =>
                Enumerable.Range(0, Rows).Select(_ => Enumerable.Range(0, width).Select(_ => 3 * random.NextDouble()).ToArray()).ToArray()
            ),
        ];
        PanelMember[] members = [new(null, 0.5, 0), new(0, 2, 3), new(null, 1, 1)];
        var scores = Scores();
        var rows = PanelRows.Of(Batch(), 0, Rows, members, [.. logits.Select(Floats)], Vocabulary, CPU);

        var mixture = new TeacherMixture(rows, average, rule, rule == TeacherWeights.Gate ? tensor(scores).reshape(Rows, 3) : null);

        for (var row = 0; row < Rows; row++)
        {
            double[][] p = [ReferenceLoss.Softmax(logits[0][row]), Whole(0, row), ReferenceLoss.Softmax(logits[1][row][..Vocabulary])];
            var silent = _told[0][row].Ids.Length == 0;
            var w = Weigh(
                [
                    IsIncorrect(row) ? 0 : 0.5,
                    silent ? 0
                    : IsIncorrect(row) ? 3
                    : 2,
                    1,
                ],
                p,
                rule,
                Gate(scores, row),
                hasTail: false
            );
            var expected = Average(p, w, average);
            Assert.All(
                expected.Zip(mixture.LogProbabilities[row].exp().data<float>().ToArray()),
                pair =>
                    // A few roundings of logarithms below 20.
                    Assert.Equal(pair.First, pair.Second, 20 * 1.2e-7 * 8)
            );
        }
    }

    /// <summary>The gate's loss is −log of the distribution at the drawn token, its slopes are central differences of that.</summary>
    [Theory]
    [InlineData(TeacherAverage.Probability, false)]
    [InlineData(TeacherAverage.Log, false)]
    [InlineData(TeacherAverage.Probability, true)]
    [InlineData(TeacherAverage.Log, true)]
    public void Surprise_GateScores_HasTheSlopesOfCentralDifferences(TeacherAverage average, bool hasModel)
    {
        using var scope = NewDisposeScope();
        var random = new Random(4);
        double[][] logits =
        [
            .. Enumerable.Range(0, Rows).Select(_ => Enumerable.Range(0, Vocabulary).Select(_ => 3 * random.NextDouble()).ToArray()),
        ];
        PanelMember[] members = hasModel ? [new(0, 1, 1), new(1, 2, 2), new(null, 1, 1)] : Members;
        var rows = PanelRows.Of(Batch(), 0, Rows, members, hasModel ? [Floats(logits)] : [], Vocabulary, CPU);
        var scores = Scores();

        var (loss, slopes) = Mixture(scores).Surprise(Drawn);

        // Of float32 distributions the differences see the rounding: they take a larger step.
        var (step, tolerance) = hasModel ? (1e-2, 1e-3) : (1e-5, 1e-8);
        for (var row = 0; row < Rows; row++)
        {
            Assert.Equal(Surprise(scores, row), loss[row].item<double>(), hasModel ? 1e-5 : 1e-12);
            for (var teacher = 0; teacher < 3; teacher++)
            {
                double[] up = [.. scores],
                    down = [.. scores];
                up[(row * 3) + teacher] += step;
                down[(row * 3) + teacher] -= step;
                var difference = (Surprise(up, row) - Surprise(down, row)) / (2 * step);
                Assert.Equal(difference, slopes[row, teacher].item<double>(), tolerance);
            }
        }

        TeacherMixture Mixture(double[] values) => new(rows, average, TeacherWeights.Gate, tensor(values).reshape(Rows, 3));

        // −log p(y), with the place of y among the outcomes looked up once more.
        double Surprise(double[] values, int row)
        {
            if (rows.HasSoft[row].item<double>() == 0)
            {
                return 0;
            }

            using var inner = NewDisposeScope();
            var all = Mixture(values).LogProbabilities[row];
            var place = hasModel ? _drawn[row] : Array.IndexOf(Union(row), _drawn[row]);
            return -all[place < 0 ? all.shape[0] - 1 : place].to(ScalarType.Float64).item<double>();
        }
    }

    /// <summary>
    /// What one teacher does not report has its even share of the tail, and never more than the least that it reports; a zero is no least.
    /// </summary>
    [Fact]
    public void Panel_TokensThatOneTeacherDoesNotReport_HaveAShareOfItsTailUpToItsLeast()
    {
        using var scope = NewDisposeScope();
        var batch = Batch(
            [
                [([1, 2, 9], [0.6, 0.3, 0])],
                [([3], [0.9])],
                [([4, 5, 6], [0.5, 0.25, 0.001])],
            ],
            [7]
        );

        var rows = PanelRows.Of(batch, 0, 1, Members, [], Vocabulary, CPU);

        Assert.Equal([1, 2, 9, 3, 4, 5, 6], rows.Ids![0].data<long>().ToArray());
        AssertRow(0, [0.6, 0.3, 0, .. Enumerable.Repeat(0.1 / 27, 4), 0.1 - (4 * 0.1 / 27)]);
        AssertRow(1, [.. Enumerable.Repeat(0.1 / 29, 3), 0.9, .. Enumerable.Repeat(0.1 / 29, 3), 0.1 - (6 * 0.1 / 29)]);
        AssertRow(2, [.. Enumerable.Repeat(0.001, 4), 0.5, 0.25, 0.001, 0.249 - 0.004]);

        void AssertRow(int teacher, double[] expected) =>
            Assert.All(expected.Zip(rows.LogProbabilities[teacher][0].exp().data<double>().ToArray()), pair =>
                Assert.Equal(pair.First, pair.Second, 1e-7)
            );
    }

    /// <summary>Of a row of which nobody says anything, and of one whose teachers have no weight, no number is infinite.</summary>
    [Theory]
    [InlineData(TeacherAverage.Probability)]
    [InlineData(TeacherAverage.Log)]
    public void Mixture_NobodySpeaks_HasNoSoftTokensAndFiniteNumbers(TeacherAverage average)
    {
        using var scope = NewDisposeScope();
        var batch = Batch(
            [
                [([], []), ([1], [1.0])],
                [([], []), ([], [])],
                [([], []), ([], [])],
            ],
            [7, 8]
        ) with
        {
            IsIncorrect = [false, true],
        };

        var rows = PanelRows.Of(batch, 0, 2, Members, [], Vocabulary, CPU);
        var mixture = new TeacherMixture(rows, average, TeacherWeights.Verdict);

        Assert.Equal((0, 0.0), (rows.SoftTokens, rows.HasSoft.sum().item<double>()));
        Assert.False(mixture.LogProbabilities.isnan().any().item<bool>());
        Assert.Equal([7, 8], rows.Ids!.data<long>().ToArray());
        var (loss, slopes) = mixture.Surprise(tensor(new long[] { 7, 8 }).unsqueeze(1));
        Assert.Equal(0, loss.abs().sum().item<double>() + slopes.abs().sum().item<double>());
    }

    /// <summary>Row 4 is silent in the first teacher, row 5 in all; drawn tokens are reported by some, by one or by none.</summary>
    static (int[] Ids, double[] P)[] Told(int teacher, int k)
    {
        var random = new Random(teacher + 1);
        return
        [
            .. Enumerable
                .Range(0, Rows)
                .Select(row =>
                {
                    if (row == 5 || (row == 4 && teacher == 0))
                    {
                        return (Array.Empty<int>(), Array.Empty<double>());
                    }

                    int[] ids = [.. Enumerable.Range(0, Vocabulary).OrderBy(_ => random.Next()).Take(k)];
                    var shares = ids.Select(_ => 0.1 + random.NextDouble()).OrderDescending().ToArray();
                    // One row leaves nothing out.
                    var all = row == 3 ? 1 : 0.7 + (0.05 * row);
                    return (ids, shares.Select(share => Rounded(all * share / shares.Sum())).ToArray());
                }),
        ];
    }

    static double Rounded(double p) => Math.Exp((float)Math.Log(p));

    static double[] Scores()
    {
        var random = new Random(9);
        return [.. Enumerable.Range(0, Rows * 3).Select(_ => random.NextDouble() - 0.5)];
    }

    static double[] Gate(double[] scores, int row) => scores[(3 * row)..((3 * row) + 3)];

    static bool IsIncorrect(int row) => row % 2 == 1;

    PackedBatch Batch() => Batch(_told, _drawn) with { IsIncorrect = [.. Enumerable.Range(0, Rows).Select(IsIncorrect)] };

    Tensor Drawn => tensor(_drawn.Select(id => (long)id).ToArray()).unsqueeze(1);

    static Tensor Floats(double[][] rows) =>
        tensor(rows.SelectMany(row => row.Select(value => (float)value)).ToArray()).reshape(rows.Length, -1);

    PanelRows Panel(IReadOnlyList<Tensor> models) => PanelRows.Of(Batch(), 0, Rows, Members, models, Vocabulary, CPU);

    static PackedBatch Batch((int[] Ids, double[] P)[][] told, int[] drawn)
    {
        PackedSoftTargets[] packed = [.. told.Select(Packed)];
        return new PackedBatch
        {
            Ids = new int[drawn.Length + 1],
            Lengths = [drawn.Length + 1],
            Rows = [.. Enumerable.Range(0, drawn.Length)],
            Targets = drawn,
            SoftStarts = packed[0].Starts,
            SoftIds = packed[0].Ids,
            SoftLogprobs = packed[0].Logprobs,
            Tails = packed[0].Tails,
            UnmatchedStarts = new int[drawn.Length + 1],
            Unmatched = [],
            Further = packed[1..],
        };
    }

    static PackedSoftTargets Packed((int[] Ids, double[] P)[] rows) =>
        new()
        {
            Starts = [.. rows.Aggregate(new List<int> { 0 }, (starts, row) => [.. starts, starts[^1] + row.Ids.Length])],
            Ids = [.. rows.SelectMany(row => row.Ids)],
            Logprobs = [.. rows.SelectMany(row => row.P.Select(p => (float)Math.Log(p)))],
            Tails = [.. rows.Select(row => (float)Math.Log(Tail(row.P)))],
        };

    /// <summary>A tail of rounding alone is none.</summary>
    static double Tail(double[] p) => 1 - p.Sum() is > 1e-6 and var tail ? Rounded(tail) : 0;

    int[] Union(int row)
    {
        int[] all =
        [
            .. Enumerable
                .Range(0, 3)
                .Where(teacher => !IsIncorrect(row) || Members[teacher].IncorrectWeight > 0)
                .SelectMany(teacher => _told[teacher][row].Ids)
                .Distinct(),
        ];
        return all.Length > 0 ? all : [_drawn[row]];
    }

    static double Share((int[] Ids, double[] P) told) => Math.Min(Tail(told.P) / (Vocabulary - told.Ids.Length), told.P.Min());

    /// <summary>A teacher over the union and all others; certain of the first where it is silent.</summary>
    double[] Coarse(int teacher, int row, int[] union)
    {
        var told = _told[teacher][row];
        if (told.Ids.Length == 0 || (IsIncorrect(row) && Members[teacher].IncorrectWeight == 0))
        {
            return [1, .. new double[union.Length]];
        }

        double[] named = [.. union.Select(id => Array.IndexOf(told.Ids, id) is >= 0 and var at ? told.P[at] : Share(told))];
        var others = union.Except(told.Ids).Count();
        double[] all = [.. named, Tail(told.P) - (others * Share(told))];
        return [.. all.Select(p => p / all.Sum())];
    }

    double[] Whole(int teacher, int row)
    {
        var told = _told[teacher][row];
        if (told.Ids.Length == 0)
        {
            return [.. Enumerable.Repeat(1.0 / Vocabulary, Vocabulary)];
        }

        double[] all =
        [
            .. Enumerable.Range(0, Vocabulary).Select(id => Array.IndexOf(told.Ids, id) is >= 0 and var at ? told.P[at] : Share(told)),
        ];
        return [.. all.Select(p => p / all.Sum())];
    }

    double[] Weights(int row, double[][] p, TeacherWeights rule, double[] scores, bool hasTail) =>
        Weigh(
            [
                .. Members.Select(
                    (member, teacher) =>
                        _told[teacher][row].Ids.Length == 0 ? 0
                        : IsIncorrect(row) ? member.IncorrectWeight
                        : member.Weight
                ),
            ],
            p,
            rule,
            scores,
            hasTail
        );

    static double[] Weigh(double[] own, double[][] p, TeacherWeights rule, double[] scores, bool hasTail)
    {
        if (own.Sum() == 0)
        {
            return [1, .. new double[own.Length - 1]];
        }

        double[] all =
        [
            .. own.Select(
                (weight, teacher) =>
                    weight
                    * rule switch
                    {
                        TeacherWeights.Confidence => (hasTail ? p[teacher][..^1] : p[teacher]).Max(),
                        TeacherWeights.Entropy => Math.Exp(p[teacher].Sum(value => value > 0 ? value * Math.Log(value) : 0)),
                        TeacherWeights.Gate => Math.Exp(scores[teacher]),
                        _ => 1,
                    }
            ),
        ];
        return [.. all.Select(weight => weight / all.Sum())];
    }

    static double[] Average(double[][] p, double[] w, TeacherAverage average)
    {
        double[] all =
        [
            .. Enumerable
                .Range(0, p[0].Length)
                .Select(outcome =>
                    average == TeacherAverage.Probability ? p.Zip(w, (row, weight) => weight * row[outcome]).Sum()
                    : p.Zip(w).All(each => each.First[outcome] <= 0 || each.Second == 0) ? 0
                    : Math.Exp(p.Zip(w, (row, weight) => weight * Math.Log(row[outcome] > 0 ? row[outcome] : 1e-8)).Sum())
                ),
        ];
        return [.. all.Select(value => value / all.Sum())];
    }
}
