namespace TraceDistill.Evaluation.Statistics;

/// <summary>The chance that at least one of k samples is right.</summary>
public static class PassAtK
{
    /// <summary>
    /// The unbiased estimate 1 − C(n−c, k)/C(n, k) from n samples, c of them right, as the product 1 − Π (1 − k/i) over i = n−c+1 … n.
    /// </summary>
    /// <remarks>
    /// M. Chen et al., “Evaluating Large Language Models Trained on Code”, 2021 (arXiv 2107.03374), equation 1 and figure 3.
    /// </remarks>
    public static double Estimate(int samples, int correct, int k)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(correct);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(correct, samples);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(k, samples);
        if (samples - correct < k)
        {
            return 1;
        }

        var allWrong = 1.0;
        for (var i = samples - correct + 1; i <= samples; i++)
        {
            allWrong *= 1 - (double)k / i;
        }

        return 1 - allWrong;
    }
}
