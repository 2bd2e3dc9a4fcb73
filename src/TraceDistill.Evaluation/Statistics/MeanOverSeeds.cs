namespace TraceDistill.Evaluation.Statistics;

/// <summary>A mean over a few repetitions, with the interval that so few allow.</summary>
/// <param name="Mean">The arithmetic mean.</param>
/// <param name="Interval">95 % interval from Student's t; null for a single value, which says nothing about spread.</param>
/// <param name="PValue">
/// Two-sided p value of the t test against zero: a paired t test where the values are differences. Null for a single value.
/// </param>
/// <param name="Count">Number of repetitions.</param>
public sealed record MeanOverSeeds(double Mean, Interval? Interval, double? PValue, int Count)
{
    /// <summary>mean ± t·s/√n with n − 1 degrees of freedom.</summary>
    /// <remarks>“Student” (W. S. Gosset), “The probable error of a mean”, Biometrika 6 (1908).</remarks>
    public static MeanOverSeeds Of(IReadOnlyCollection<double> values)
    {
        ArgumentOutOfRangeException.ThrowIfZero(values.Count);
        var (n, mean) = (values.Count, values.Average());
        if (n == 1)
        {
            return new MeanOverSeeds(mean, null, null, 1);
        }

        var error = Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (n - 1) / n);
        var half = error * StudentT.TwoSidedQuantile(0.95, n - 1);
        var p = (error, mean) switch
        {
            (0, 0) => 1,
            (0, _) => 0,
            _ => StudentT.TwoSidedPValue(mean / error, n - 1),
        };
        return new MeanOverSeeds(mean, new Interval(mean - half, mean + half), p, n);
    }
}
