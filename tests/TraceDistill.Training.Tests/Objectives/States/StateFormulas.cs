namespace TraceDistill.Training.Tests.Objectives.States;

/// <summary>A sequence's states in one model, in float64.</summary>
/// <param name="Hidden">By layer and trained token.</param>
/// <param name="Maps">By layer, head and trained token: what it gives each token.</param>
/// <param name="Values">By layer and token, prompts too.</param>
/// <param name="Rows">The trained tokens.</param>
sealed record SampleStates(double[][][] Hidden, double[][][][] Maps, double[][][] Values, int[] Rows);

/// <summary>The formulas of all objectives of states, written out over numbers, for one micro-batch of some sequences.</summary>
static class StateFormulas
{
    public delegate double Formula(SampleStates[] student, SampleStates[] teacher, IReadOnlyDictionary<string, double[][]> own);

    public static Formula Hidden((int, int)[] pairs, Func<double[], double[], double> distance) =>
        (student, teacher, own) =>
            pairs.Average(pair => Tokens(student, teacher, pair, own).Sum(token => distance(token.Student, token.Teacher)));

    public static double Mse(double[] a, double[] b) => a.Zip(b, (x, y) => (x - y) * (x - y)).Average();

    /// <summary>Squared distance of states of length 1 (patient knowledge distillation, equation 7).</summary>
    public static double OfLengthOne(double[] a, double[] b) => Unit(a).Zip(Unit(b), (x, y) => (x - y) * (x - y)).Sum();

    public static double Cosine(double[] a, double[] b) => 1 - (Dot(a, b) / Math.Sqrt(Dot(a, a) * Dot(b, b)));

    public static Formula Alignment((int, int)[] pairs) =>
        (student, teacher, own) =>
            pairs.Average(pair =>
            {
                var tokens = Tokens(student, teacher, pair, own).ToArray();
                double[][] x = Centred([.. tokens.Select(token => token.Student)]),
                    y = Centred([.. tokens.Select(token => token.Teacher)]);
                // By the tokens' own products: ‖YᵀX‖² = Σ (x·x′)(y·y′) (Kornblith et al., equation 2).
                double Products(double[][] a, double[][] b) =>
                    a.Index().Sum(i => a.Index().Sum(j => Dot(i.Item, j.Item) * Dot(b[i.Index], b[j.Index])));
                return tokens.Length * (1 - (Products(x, y) / Math.Sqrt(Products(x, x) * Products(y, y))));
            });

    public static Formula Maps((int, int)[] pairs, bool isKl, Func<int, int, double>? weight = null) =>
        (student, teacher, own) =>
            pairs
                .Index()
                .Average(pair =>
                    Enumerable
                        .Range(0, student[0].Maps[0].Length)
                        .Average(head =>
                        {
                            var sum = HeadLoss(student, teacher, pair.Item, head, isKl);
                            if (own.TryGetValue("uncertainty", out var uncertainty))
                            {
                                var s = uncertainty[pair.Index][head];
                                return (Math.Exp(-s) * sum) + (s * student.Sum(sequence => sequence.Rows.Length));
                            }

                            return (weight?.Invoke(pair.Index, head) ?? 1) * sum;
                        })
                );

    /// <summary>Weights of a mean of 1 by which the norms of the heads' gradients are equal.</summary>
    public static double[] Balance(SampleStates[] student, SampleStates[] teacher, (int Student, int Teacher) pair, bool isKl)
    {
        double[] inverse =
        [
            .. Enumerable
                .Range(0, student[0].Maps[0].Length)
                .Select(head =>
                    1
                    / Math.Sqrt(
                        Attention(student, teacher, pair, head)
                            .Sum(at => Math.Pow(isKl ? at.Teacher / at.Student : 2 * (at.Student - at.Teacher), 2))
                    )
                ),
        ];
        return [.. inverse.Select(value => value / inverse.Average())];
    }

    public static Formula Values((int Student, int Teacher)[] pairs, int heads, Func<int, int, double>? weight = null) =>
        (student, teacher, own) =>
            pairs
                .Index()
                .Average(pair =>
                    Enumerable
                        .Range(0, heads)
                        .Average(head =>
                        {
                            var sum = Relations(student, teacher, pair.Item, head, heads)
                                .Sum(row => row.Teacher.Zip(row.Student, (a, b) => a * Math.Log(a / b)).Sum());
                            if (own.TryGetValue("uncertainty", out var uncertainty))
                            {
                                var s = uncertainty[pair.Index][head];
                                return (Math.Exp(-s) * sum) + (s * student.Sum(sequence => sequence.Rows.Length));
                            }

                            return (weight?.Invoke(pair.Index, head) ?? 1) * sum;
                        })
                );

    /// <summary>Weights of a mean of 1 by which the norms of the heads' gradients, q − p by what the softmax is of, are equal.</summary>
    public static double[] BalanceOfValues(SampleStates[] student, SampleStates[] teacher, (int, int) pair, int heads)
    {
        double[] inverse =
        [
            .. Enumerable
                .Range(0, heads)
                .Select(head =>
                    1
                    / Math.Sqrt(
                        Relations(student, teacher, pair, head, heads)
                            .Sum(row => row.Student.Zip(row.Teacher, (q, p) => Math.Pow(q - p, 2)).Sum())
                    )
                ),
        ];
        return [.. inverse.Select(value => value / inverse.Average())];
    }

    static IEnumerable<(double[] Student, double[] Teacher)> Relations(
        SampleStates[] student,
        SampleStates[] teacher,
        (int Student, int Teacher) pair,
        int head,
        int heads
    ) =>
        student
            .Zip(teacher)
            .SelectMany(both =>
                both.First.Rows.Select(row =>
                    (
                        Related(both.First.Values[pair.Student], row, head, heads),
                        Related(both.Second.Values[pair.Teacher], row, head, heads)
                    )
                )
            );

    public static Formula Relations((int Student, int Teacher)[] pairs, double distanceWeight, double angleWeight) =>
        (student, teacher, own) =>
            pairs.Average(pair =>
            {
                double[][] x = [.. student.Select(sequence => Mean(sequence.Hidden[pair.Student]))],
                    y = [.. teacher.Select(sequence => Mean(sequence.Hidden[pair.Teacher]))];
                var samples = Enumerable.Range(0, x.Length).ToArray();
                var twos = samples.SelectMany(i => samples.Where(j => j != i).Select(j => (i, j))).ToArray();
                var threes = twos.SelectMany(two => samples.Where(k => k != two.i && k != two.j).Select(k => (two.i, two.j, k))).ToArray();
                double meanX = twos.Average(two => Distance(x[two.i], x[two.j])),
                    meanY = twos.Average(two => Distance(y[two.i], y[two.j]));
                return student.Sum(sequence => sequence.Rows.Length)
                    * (
                        (
                            distanceWeight
                            * twos.Average(two => Huber((Distance(x[two.i], x[two.j]) / meanX) - (Distance(y[two.i], y[two.j]) / meanY)))
                        ) + (angleWeight * threes.Average(three => Huber(Angle(x, three) - Angle(y, three))))
                    );
            });

    public static Formula Flow((int Student, int Teacher)[] pairs, bool isNormalized = false) =>
        (student, teacher, own) =>
            pairs
                .Zip(pairs.Skip(1))
                .Average(both =>
                    student
                        .Zip(teacher)
                        .Sum(sequences =>
                        {
                            double[][] Own(int layer) =>
                                [.. sequences.First.Hidden[layer].Select(row => Sized(Projected(row, layer, own)))];
                            double[][] Taught(int layer) => [.. sequences.Second.Hidden[layer].Select(Sized)];
                            var g = Relation(Own(both.First.Student), Own(both.Second.Student));
                            var h = Relation(Taught(both.First.Teacher), Taught(both.Second.Teacher));
                            return sequences.First.Rows.Length * g.Zip(h, (a, b) => (a - b) * (a - b)).Average();

                            // Of length √D: of a mean square of 1.
                            double[] Sized(double[] row) =>
                                isNormalized ? [.. Unit(row).Select(value => value * Math.Sqrt(row.Length))] : row;
                        })
                );

    public static Formula Contrast((int Student, int Teacher)[] pairs, double temperature) =>
        (student, teacher, own) =>
            student.Sum(sequence => sequence.Rows.Length)
            * pairs
                .Index()
                .Average(pair =>
                {
                    double[][] x = [.. student.Select(s => Unit(Times(own[$"student.{pair.Index}"], Mean(s.Hidden[pair.Item.Student]))))],
                        y = [.. teacher.Select(s => Unit(Times(own[$"teacher.{pair.Index}"], Mean(s.Hidden[pair.Item.Teacher]))))];
                    return x.Index()
                        .Average(i =>
                        {
                            var same = Dot(i.Item, y[i.Index]) / temperature;
                            return 0.5
                                * (
                                    Math.Log(y.Sum(other => Math.Exp(Dot(i.Item, other) / temperature)))
                                    + Math.Log(x.Sum(other => Math.Exp(Dot(other, y[i.Index]) / temperature)))
                                    - (2 * same)
                                );
                        });
                });

    public static Formula Discriminator((int Student, int Teacher)[] pairs) =>
        (student, teacher, own) =>
            pairs
                .Index()
                .Average(pair =>
                {
                    var index = pair.Index;
                    return 0.5
                        * (
                            student.SelectMany(s => s.Hidden[pair.Item.Student]).Sum(row => Softplus(Score(Taken(Scaled(row)))))
                            + teacher.SelectMany(s => s.Hidden[pair.Item.Teacher]).Sum(row => Softplus(-Score(Scaled(row))))
                        );

                    double[] Taken(double[] row) =>
                        own.TryGetValue($"projection.{index}", out var projection) ? Times(projection, row) : row;

                    double Score(double[] row)
                    {
                        var inner = Times(own[$"inner.{index}"], row).Zip(own[$"inner_bias.{index}"][0], (a, b) => a + b);
                        return Dot(own[$"outer.{index}"][0], [.. inner.Select(a => a / (1 + Math.Exp(-a)))])
                            + own[$"outer_bias.{index}"][0][0];
                    }
                });

    static IEnumerable<(double[] Student, double[] Teacher)> Tokens(
        SampleStates[] student,
        SampleStates[] teacher,
        (int Student, int Teacher) pair,
        IReadOnlyDictionary<string, double[][]> own
    ) =>
        student
            .SelectMany(sequence => sequence.Hidden[pair.Student])
            .Select(row => Projected(row, pair.Student, own))
            .Zip(teacher.SelectMany(sequence => sequence.Hidden[pair.Teacher]));

    static double[] Projected(double[] row, int layer, IReadOnlyDictionary<string, double[][]> own) =>
        own.TryGetValue($"projection.{layer}", out var projection) ? Times(projection, row) : row;

    static double HeadLoss(SampleStates[] student, SampleStates[] teacher, (int Student, int Teacher) pair, int head, bool isKl) =>
        Attention(student, teacher, pair, head)
            .Sum(at => isKl ? at.Teacher * Math.Log(at.Teacher / at.Student) : Math.Pow(at.Teacher - at.Student, 2));

    /// <summary>All that a head's trained tokens see, with the mean of the teacher's heads that it is compared with.</summary>
    static IEnumerable<(double Student, double Teacher)> Attention(
        SampleStates[] student,
        SampleStates[] teacher,
        (int Student, int Teacher) pair,
        int head
    )
    {
        var group = teacher[0].Maps[0].Length / student[0].Maps[0].Length;
        foreach (var (own, taught) in student.Zip(teacher))
        {
            foreach (var (place, row) in own.Rows.Index())
            {
                for (var key = 0; key <= row; key++)
                {
                    yield return (
                        own.Maps[pair.Student][head][place][key],
                        Enumerable.Range(head * group, group).Average(theirs => taught.Maps[pair.Teacher][theirs][place][key])
                    );
                }
            }
        }
    }

    /// <summary>softmax(v·v′ / √c) over the tokens up to one's own.</summary>
    static double[] Related(double[][] values, int row, int head, int heads)
    {
        var channels = values[0].Length / heads;
        double[] Of(int token) => values[token][(head * channels)..((head + 1) * channels)];
        double[] e = [.. Enumerable.Range(0, row + 1).Select(token => Math.Exp(Dot(Of(row), Of(token)) / Math.Sqrt(channels)))];
        return [.. e.Select(value => value / e.Sum())];
    }

    static double[] Relation(double[][] a, double[][] b) =>
        [
            .. Enumerable
                .Range(0, a[0].Length)
                .SelectMany(i => Enumerable.Range(0, b[0].Length).Select(j => a.Zip(b, (x, y) => x[i] * y[j]).Sum() / a.Length)),
        ];

    static double[][] Centred(double[][] rows)
    {
        var mean = Mean(rows);
        return [.. rows.Select(row => row.Zip(mean, (a, b) => a - b).ToArray())];
    }

    static double[] Mean(double[][] rows) => [.. Enumerable.Range(0, rows[0].Length).Select(channel => rows.Average(row => row[channel]))];

    static double[] Scaled(double[] row) => [.. row.Select(value => value / Math.Sqrt(row.Average(x => x * x) + 1e-6))];

    static double[] Unit(double[] row) => [.. row.Select(value => value / Math.Sqrt(Dot(row, row)))];

    static double[] Times(double[][] matrix, double[] row) => [.. matrix.Select(weights => Dot(weights, row))];

    static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    static double Distance(double[] a, double[] b) => Math.Sqrt(a.Zip(b, (x, y) => (x - y) * (x - y)).Sum());

    static double Angle(double[][] samples, (int I, int J, int K) three)
    {
        double[] Side(int to) => Unit([.. samples[to].Zip(samples[three.I], (a, b) => a - b)]);
        return Dot(Side(three.J), Side(three.K));
    }

    static double Huber(double x) => Math.Abs(x) < 1 ? x * x / 2 : Math.Abs(x) - 0.5;

    static double Softplus(double x) => Math.Log(1 + Math.Exp(x));
}
