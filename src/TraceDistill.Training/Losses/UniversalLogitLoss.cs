using TraceDistill.Training.Generation.Sampling;

namespace TraceDistill.Training.Losses;

/// <summary>
/// Universal Logit Distillation (Boizard et al., arXiv 2402.12030, equation 4) for the part of a teacher's distribution that the student's vocabulary cannot
/// say: Σᵣ |pᵣ − q₍ᵣ₎| over the teacher's unmatched alternatives and as many of the student's most probable tokens outside the soft targets, both sorted.
/// </summary>
/// <remarks>∂/∂zᵢ = qᵢ (gᵢ − Σᵣ gᵣ q₍ᵣ₎) with gᵣ = −sign(pᵣ − q₍ᵣ₎) for the token at rank r and 0 for all others.</remarks>
static class UniversalLogitLoss
{
    /// <param name="exponentials">[V] e^(z − max), 0 for the tokens of the soft targets.</param>
    /// <param name="partition">Their sum, soft targets included.</param>
    /// <param name="teacher">[n] unmatched probabilities, the largest first.</param>
    /// <param name="ids">[n] receives the student's tokens by rank.</param>
    /// <param name="slopes">[n] receives gᵣ.</param>
    /// <returns>The loss, Σᵣ gᵣ q₍ᵣ₎, and the number of ranks compared.</returns>
    public static (double Loss, double MeanSlope, int Ranks) Compare(
        ReadOnlySpan<float> exponentials, double partition, ReadOnlySpan<float> teacher, Span<int> ids, Span<float> slopes)
    {
        var ranks = TopSelection.Select(exponentials, ids, slopes);
        double loss = 0, mean = 0;
        for (var rank = 0; rank < ranks; rank++)
        {
            var probability = slopes[rank] / partition;
            var gap = teacher[rank] - probability;
            loss += Math.Abs(gap);
            slopes[rank] = -Math.Sign(gap);
            mean += slopes[rank] * probability;
        }

        return (loss, mean, ranks);
    }
}
