using TraceDistill.Data.Determinism;

namespace TraceDistill.Evaluation.Statistics;

/// <summary>
/// Test of whether paired differences lean to one side, without assuming a distribution: under the null hypothesis every sign is a coin
/// flip.
/// </summary>
/// <remarks>R. A. Fisher, The Design of Experiments (1935), section 21.</remarks>
public static class SignFlipTest
{
    const int ExactUpTo = 20;
    const int Flips = 100_000;

    /// <summary>
    /// The share of sign patterns whose sum is at least as far from zero as the observed one: over all 2ⁿ patterns up to n = 20, over
    /// 100,000 seeded ones, the observed included, past it. Three differences cannot give less than 0.25.
    /// </summary>
    public static double PValue(ReadOnlySpan<double> differences, long seed = 0)
    {
        var observed = 0.0;
        var scale = 0.0;
        foreach (var difference in differences)
        {
            observed += difference;
            scale += Math.Abs(difference);
        }

        // Sums of the same numbers in another order differ in the last bits and still count as equal.
        var threshold = Math.Abs(observed) - 1e-12 * scale;
        var extreme = 0;
        if (differences.Length <= ExactUpTo)
        {
            for (var signs = 0UL; signs < 1UL << differences.Length; signs++)
            {
                extreme += Math.Abs(Flipped(differences, signs)) >= threshold ? 1 : 0;
            }

            return extreme / (double)(1UL << differences.Length);
        }

        var random = new SplitMix64((ulong)seed);
        for (var i = 0; i < Flips; i++)
        {
            var sum = 0.0;
            for (var start = 0; start < differences.Length; start += 64)
            {
                sum += Flipped(differences[start..Math.Min(start + 64, differences.Length)], random.Next());
            }

            extreme += Math.Abs(sum) >= threshold ? 1 : 0;
        }

        return (extreme + 1.0) / (Flips + 1.0);
    }

    static double Flipped(ReadOnlySpan<double> differences, ulong signs)
    {
        var sum = 0.0;
        for (var i = 0; i < differences.Length; i++)
        {
            sum += (signs >> i & 1) == 0 ? differences[i] : -differences[i];
        }

        return sum;
    }
}
