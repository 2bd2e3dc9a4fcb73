namespace TraceDistill.Evaluation.Statistics;

/// <summary>Correction for several tests at once: the chance of a single false finding among all stays below the level.</summary>
/// <remarks>S. Holm, “A simple sequentially rejective multiple test procedure”, Scandinavian Journal of Statistics 6 (1979).</remarks>
public static class Holm
{
    /// <summary>
    /// The i-th smallest of m p values becomes max over j ≤ i of min(1, (m − j + 1) · p₍ⱼ₎). It assumes nothing of how the tests depend on
    /// each other.
    /// </summary>
    /// <param name="pValues">Of one family of tests, in any order.</param>
    /// <returns>Corrected p values in the same order, to be compared with the level.</returns>
    public static double[] Adjust(IReadOnlyList<double> pValues)
    {
        var adjusted = new double[pValues.Count];
        var largest = 0.0;
        foreach (var (rank, index) in Enumerable.Range(0, pValues.Count).OrderBy(index => pValues[index]).Index())
        {
            largest = Math.Max(largest, Math.Min(1, (pValues.Count - rank) * pValues[index]));
            adjusted[index] = largest;
        }

        return adjusted;
    }
}
