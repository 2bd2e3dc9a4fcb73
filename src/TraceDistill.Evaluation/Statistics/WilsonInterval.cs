namespace TraceDistill.Evaluation.Statistics;

/// <summary>An interval for a proportion that behaves near 0 and 1, where good models live.</summary>
public static class WilsonInterval
{
    /// <summary>The score interval (p̂ + z²/2n ± z·√(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n), without continuity correction.</summary>
    /// <remarks>
    /// E. B. Wilson, “Probable inference, the law of succession, and statistical inference”, JASA 22 (1927). No trials: all of [0, 1].
    /// </remarks>
    /// <param name="successes">Count of successes; may be fractional, as when a tied vote counts as one half.</param>
    /// <param name="trials">Count of independent trials.</param>
    /// <param name="confidence">Two-sided coverage.</param>
    public static Interval Of(double successes, int trials, double confidence = 0.95)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(successes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(successes, trials);
        if (trials == 0)
        {
            return new Interval(0, 1);
        }

        var z = NormalDistribution.Quantile(1 - (1 - confidence) / 2);
        var (n, p) = ((double)trials, successes / trials);
        var center = p + z * z / (2 * n);
        var half = z * Math.Sqrt(p * (1 - p) / n + z * z / (4 * n * n));
        var scale = 1 + z * z / n;

        // At the ends the formula gives the bound exactly; rounding must not push it past.
        return new Interval(successes == 0 ? 0 : (center - half) / scale, successes == trials ? 1 : (center + half) / scale);
    }
}
