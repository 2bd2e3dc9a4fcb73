namespace TraceDistill.Training.Tests.Objectives;

/// <summary>
/// Each objective as its paper has it, over plain arrays of float64: p of the teacher, q of the student, over the same outcomes.
/// </summary>
static class ObjectiveFormulas
{
    /// <summary>What a teacher's zero counts as where the formula has no value for one (README: objectives).</summary>
    const double Least = 1e-8;

    /// <param name="P">At the temperature; 0 is an outcome that the teacher says is impossible.</param>
    /// <param name="Q">The student's at the temperature.</param>
    /// <param name="FrozenQ">The student's before it is varied: what has no gradient.</param>
    /// <param name="Drawn">Outcome of the drawn token; −1 where it is none of them.</param>
    /// <param name="HasTail">The last outcome is all other tokens.</param>
    public sealed record Row(double[] P, double[] Q, double[] FrozenQ, int Drawn, bool HasTail);

    public static double Of(string key, Row row)
    {
        var (p, q) = (row.P, row.Q);
        return key switch
        {
            "kl_forward" => Forward(p, q),
            "kl_reverse" => Reverse(p, q),
            "jeffreys" => Forward(p, q) + Reverse(p, q),
            "jsd" => (0.3 * Forward(p, Mix(p, q, 0.3))) + (0.7 * Forward(q, Mix(p, q, 0.3))),
            "skew_kl_forward" => Forward(p, Mix(p, q, 0.2)),
            "skew_kl_reverse" => Forward(q, Mix(p, q, 0.8)),
            "alpha_beta" => AlphaBeta(p, q, 0.4, 1.3),
            "total_variation" => 0.5 * p.Zip(q, (a, b) => Math.Abs(a - b)).Sum(),
            "adaptive_kl" => Adaptive(row),
            "taid" => Forward(Between(row, 0.7), q),
            "listwise_ranking" => Ranking(row),
            "dkd" => Decoupled(row),
            "ntce_kd" => new[] { 0.25, 0.5, 0.75, 1 }.Average(factor => NonTarget(row, factor)),
            _ => throw new ArgumentException(key),
        };
    }

    /// <summary>Cichocki et al., Entropy 13 (2011), equation 19.</summary>
    public static double AlphaBeta(double[] p, double[] q, double a, double b) =>
        -1
        / (a * b)
        * p.Zip(q, (x, y) => (Math.Pow(x, a) * Math.Pow(y, b)) - (a / (a + b) * Math.Pow(x, a + b)) - (b / (a + b) * Math.Pow(y, a + b)))
            .Sum();

    static double Forward(double[] p, double[] q) => p.Zip(q, (a, b) => a > 0 ? a * (Math.Log(a) - Math.Log(b)) : 0).Sum();

    static double Reverse(double[] p, double[] q) => q.Zip(p, (b, a) => b > 0 ? b * (Math.Log(b) - Math.Log(a > 0 ? a : Least)) : 0).Sum();

    static double[] Mix(double[] p, double[] q, double share) => [.. p.Zip(q, (a, b) => (share * a) + ((1 - share) * b))];

    static double Adaptive(Row row)
    {
        int[] tokens = [.. Enumerable.Range(0, row.P.Length - (row.HasTail ? 1 : 0)).OrderByDescending(i => row.P[i])];
        double[] gaps = [.. row.P.Zip(row.FrozenQ, (a, b) => Math.Abs(a - b))];
        double head = 0,
            mass = 0;
        foreach (var i in tokens)
        {
            if (mass >= 0.6)
            {
                break;
            }

            mass += row.P[i];
            head += gaps[i];
        }

        var share = head / gaps.Sum();
        return (share * Forward(row.P, row.Q)) + ((1 - share) * Reverse(row.P, row.Q));
    }

    static double[] Between(Row row, double t) =>
        Normalize([.. row.P.Zip(row.FrozenQ, (a, b) => Math.Pow(a > 0 ? a : Least, t) * Math.Pow(b, 1 - t))]);

    /// <summary>Plackett and Luce: one after another is drawn from those that are left.</summary>
    static double Ranking(Row row)
    {
        int[] order = [.. Enumerable.Range(0, row.P.Length - (row.HasTail ? 1 : 0)).OrderByDescending(i => row.P[i]).Take(20)];
        double sum = 0,
            left = row.Q.Sum();
        foreach (var i in order)
        {
            sum += Math.Log(left) - Math.Log(row.Q[i]);
            left = Enumerable.Range(0, row.Q.Length).Except(order.Take(Array.IndexOf(order, i) + 1)).Sum(j => row.Q[j]);
        }

        return sum;
    }

    static double Decoupled(Row row)
    {
        if (row.Drawn < 0)
        {
            return 0;
        }

        // Where the teacher is certain nothing is said of the others.
        var p = row.P[row.Drawn] < row.P.Sum() ? row.P : Possible(row.P);
        double[] Others(double[] of) => Normalize([.. of.Where((_, i) => i != row.Drawn)]);
        double[] Two(double[] of) => [of[row.Drawn], of.Where((_, i) => i != row.Drawn).Sum()];
        var among = row.P.Length > 1 ? Forward(Others(p), Others(row.Q)) : 0;
        return (0.7 * Forward(Two(p), Two(row.Q))) + (3 * among);
    }

    static double NonTarget(Row row, double factor)
    {
        int[] order = [.. Enumerable.Range(0, row.P.Length - (row.HasTail ? 1 : 0)).OrderByDescending(i => row.P[i])];
        // Without a second token it cannot be level with it.
        var p = order.Length < 2 || row.P[order[1]] > 0 ? row.P : Possible(row.P);
        var shrink = order.Length < 2 ? 1 : Math.Pow(p[order[1]] / p[order[0]], factor);
        double[] Shrunk(double[] of) => Normalize([.. of.Select((value, i) => i == order[0] ? value * shrink : value)]);
        return Forward(Shrunk(p), Shrunk(row.Q));
    }

    static double[] Possible(double[] p) => Normalize([.. p.Select(a => a > 0 ? a : Least)]);

    static double[] Normalize(double[] values) => [.. values.Select(value => value / values.Sum())];
}
