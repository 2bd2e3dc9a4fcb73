namespace TraceDistill.Evaluation.Statistics;

/// <summary>Test of whether two models that answered the same problems differ, judged by the problems on which they disagree.</summary>
public static class McNemar
{
    /// <summary>
    /// The exact two-sided p value: with n discordant problems, of which the rarer kind has m, min(1, 2·P(X ≤ m)) for X ~ Binomial(n, ½).
    /// </summary>
    /// <remarks>Q. McNemar, Psychometrika 12 (1947); exact form as in A. Agresti, Categorical Data Analysis, 3rd edition, 11.1.1.</remarks>
    /// <param name="onlyFirst">Problems that only the first model solved.</param>
    /// <param name="onlySecond">Problems that only the second model solved.</param>
    public static double ExactPValue(int onlyFirst, int onlySecond)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(onlyFirst);
        ArgumentOutOfRangeException.ThrowIfNegative(onlySecond);
        var (rarer, discordant) = (Math.Min(onlyFirst, onlySecond), onlyFirst + onlySecond);

        // P(X ≤ m) for Binomial(n, p) is I_{1−p}(n − m, m + 1) (DLMF 8.17.5).
        return rarer == discordant - rarer ? 1 : Math.Min(1, 2 * IncompleteBeta.Regularized(0.5, discordant - rarer, rarer + 1));
    }
}
