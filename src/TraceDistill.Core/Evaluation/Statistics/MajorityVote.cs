namespace TraceDistill.Core.Evaluation.Statistics;

/// <summary>The chance that the most frequent of k sampled answers is right (maj@k, “self-consistency”).</summary>
/// <remarks>X. Wang et al., “Self-Consistency Improves Chain of Thought Reasoning in Language Models”, ICLR 2023 (arXiv 2203.11171).</remarks>
public static class MajorityVote
{
    /// <summary>
    /// The exact expectation over all k-subsets of the samples at hand; where several answers share the most votes each is chosen with equal
    /// chance. Samples without an answer are drawn but do not vote.
    /// </summary>
    /// <param name="correct">Samples with the right answer.</param>
    /// <param name="wrong">Votes of each distinct wrong answer.</param>
    /// <param name="unanswered">Samples without an answer.</param>
    /// <param name="k">Votes drawn, at most the number of samples.</param>
    public static double Estimate(int correct, IReadOnlyCollection<int> wrong, int unanswered, int k)
    {
        var samples = correct + wrong.Sum() + unanswered;
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(k, samples);

        var wins = 0.0;
        for (var votes = 1; votes <= Math.Min(correct, k); votes++)
        {
            var ways = WaysByTies(wrong, unanswered, votes, k - votes);
            wins += Choose(correct, votes) * ways.Select((count, ties) => count / (ties + 1)).Sum();
        }

        return wins / Choose(samples, k);
    }

    /// <returns>At index t: the ways to draw <paramref name="rest"/> samples so that t wrong answers have exactly <paramref name="votes"/> votes and none has more.</returns>
    static double[] WaysByTies(IReadOnlyCollection<int> wrong, int unanswered, int votes, int rest)
    {
        // ways[drawn, ties], one group of equal answers after another.
        var ways = new double[rest + 1, wrong.Count + 1];
        for (var drawn = 0; drawn <= Math.Min(rest, unanswered); drawn++)
        {
            ways[drawn, 0] = Choose(unanswered, drawn);
        }

        foreach (var size in wrong)
        {
            var next = new double[rest + 1, wrong.Count + 1];
            for (var drawn = 0; drawn <= rest; drawn++)
            {
                for (var ties = 0; ties <= wrong.Count; ties++)
                {
                    for (var take = 0; ways[drawn, ties] > 0 && take <= Math.Min(Math.Min(size, votes), rest - drawn); take++)
                    {
                        next[drawn + take, ties + (take == votes ? 1 : 0)] += ways[drawn, ties] * Choose(size, take);
                    }
                }
            }

            ways = next;
        }

        return [.. Enumerable.Range(0, wrong.Count + 1).Select(ties => ways[rest, ties])];
    }

    static double Choose(int n, int k)
    {
        var ways = 1.0;
        for (var i = 1; i <= k; i++)
        {
            ways = ways * (n - k + i) / i;
        }

        return ways;
    }
}
