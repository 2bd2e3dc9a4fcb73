namespace TraceDistill.Evaluation.Statistics;

/// <summary>The chance that the most frequent of k sampled answers is right (maj@k, “self-consistency”).</summary>
/// <remarks>
/// X. Wang et al., “Self-Consistency Improves Chain of Thought Reasoning in Language Models”, ICLR 2023 (arXiv 2203.11171).
/// </remarks>
public static class MajorityVote
{
    /// <summary>
    /// The exact expectation over all k-subsets of the samples at hand; where several answers share the
    /// most votes each is chosen with equal chance. Samples without an answer are drawn but do not vote.
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

        var drawnRight = Binomials(correct, k);
        var wins = 0.0;
        for (var votes = 1; votes <= Math.Min(correct, k); votes++)
        {
            var ways = WaysByTies(wrong, unanswered, votes, k - votes);
            wins += drawnRight[votes] * ways.Select((count, ties) => count / (ties + 1)).Sum();
        }

        return wins / Binomials(samples, k)[k];
    }

    /// <returns>
    /// At index t: the ways to draw <paramref name="rest"/> samples so that t wrong answers
    /// have exactly <paramref name="votes"/> votes and none has more.
    /// </returns>
    static double[] WaysByTies(IReadOnlyCollection<int> wrong, int unanswered, int votes, int rest)
    {
        // Answers too rare to draw level may be drawn in any way, and so make one heap with the samples that do not vote.
        int[] rivals = [.. wrong.Where(size => size >= votes)];
        var heap = Binomials(unanswered + wrong.Sum() - rivals.Sum(), rest);

        // ways[drawn, ties], the heap first and then one rival after another.
        var ways = new double[rest + 1, rivals.Length + 1];
        for (var drawn = 0; drawn <= rest; drawn++)
        {
            ways[drawn, 0] = heap[drawn];
        }

        foreach (var size in rivals)
        {
            var next = new double[rest + 1, rivals.Length + 1];
            var drawnWrong = Binomials(size, votes);
            for (var drawn = 0; drawn <= rest; drawn++)
            {
                for (var ties = 0; ties <= rivals.Length; ties++)
                {
                    for (var take = 0; ways[drawn, ties] > 0 && take <= Math.Min(votes, rest - drawn); take++)
                    {
                        next[drawn + take, ties + (take == votes ? 1 : 0)] += ways[drawn, ties] * drawnWrong[take];
                    }
                }
            }

            ways = next;
        }

        return [.. Enumerable.Range(0, rivals.Length + 1).Select(ties => ways[rest, ties])];
    }

    /// <summary>The binomial coefficients n over 0 … <paramref name="last"/>; finite up to n = 1,000.</summary>
    static double[] Binomials(int n, int last)
    {
        var ways = new double[last + 1];
        ways[0] = 1;
        for (var k = 1; k <= Math.Min(n, last); k++)
        {
            ways[k] = ways[k - 1] * (n - k + 1) / k;
        }

        return ways;
    }
}
