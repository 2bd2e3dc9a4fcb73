using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Problems.Families;

namespace TraceDistill.Data.Problems;

/// <summary>A family's problems of like difficulty: one of the places that a search draws from.</summary>
/// <param name="Family">The family's name.</param>
/// <param name="Level">From 1, the shortest worked solutions.</param>
public sealed record ProblemArm(string Family, int Level);

/// <summary>
/// Generated problems for a search over families and their difficulty, by the cross-entropy method over the arms (Rubinstein 1999; de Boer
/// et al., "A Tutorial on the Cross-Entropy Method", 2005, section 4): a round draws from each arm in proportion to its share, and the
/// shares move to those of the best of the round.
/// </summary>
/// <remarks>
/// A difficulty is a quantile of the lengths of a family's worked solutions, which grow with digits, steps and operands in every family.
/// Arms have streams of their own, so that what comes of one does not depend on the others, and the same calls give the same problems. No
/// problem comes twice, nor one of the held-out side of the split.
/// </remarks>
public sealed class ProblemSearch
{
    /// <summary>Fraction of the way to the shares of the best; the rest stays where it was.</summary>
    const double Smoothing = 0.7;

    /// <summary>Problems from which the levels of a family are known.</summary>
    const int Sample = 400;

    /// <summary>Draws in a row without a new problem of an arm before it counts as exhausted.</summary>
    const int MaxRepeats = 20_000;

    readonly IReadOnlyList<Stream> _streams;
    readonly Func<Problem, bool> _isTaken;

    /// <param name="families">Family names; <c>all</c> stands for every family.</param>
    /// <param name="levels">Levels of each family at most; a family whose solutions are of few lengths has fewer.</param>
    /// <param name="seed">Of all streams.</param>
    /// <param name="isTaken">Returns whether a problem may not come.</param>
    /// <exception cref="Text.Errors.InvalidInputException">A name is unknown or the list is empty.</exception>
    public ProblemSearch(IReadOnlyList<string> families, int levels, long seed, Func<Problem, bool> isTaken)
    {
        _isTaken = isTaken;
        _streams = [.. ProblemGenerator.Resolve(families).Select(family => new Stream(family, levels, seed))];
        Arms = [.. _streams.SelectMany(stream => Enumerable.Range(1, stream.Levels).Select(level => new ProblemArm(stream.Name, level)))];
    }

    /// <summary>All families with their levels.</summary>
    public IReadOnlyList<ProblemArm> Arms { get; }

    /// <summary>Draws new problems.</summary>
    /// <param name="counts">[arms] number of each; an arm that is exhausted gives fewer.</param>
    /// <returns>Each with the index of its arm, in the arms' order.</returns>
    public IReadOnlyList<(int Arm, Problem Problem)> Draw(ReadOnlySpan<int> counts)
    {
        var drawn = new List<(int, Problem)>();
        var arm = 0;
        foreach (var stream in _streams)
        {
            for (var level = 0; level < stream.Levels; level++, arm++)
            {
                for (var i = 0; i < counts[arm] && stream.Next(level, _isTaken) is { } problem; i++)
                {
                    drawn.Add((arm, problem));
                }
            }
        }

        return drawn;
    }

    /// <summary>
    /// Whole numbers in proportion to shares, by largest remainders. Which of equal remainders come first is drawn: by the order of the
    /// arms a round with fewer problems than arms would always be of the same ones.
    /// </summary>
    /// <param name="shares">Sum to 1.</param>
    /// <param name="count">Sum of the numbers.</param>
    /// <param name="seed">Of the search.</param>
    /// <param name="round">Round of the search: each draws anew.</param>
    public static int[] Apportion(IReadOnlyList<double> shares, int count, long seed, int round)
    {
        int[] counts = [.. shares.Select(share => (int)(share * count))];
        var left = count - counts.Sum();
        int[] order = [.. Enumerable.Range(0, counts.Length)];
        RandomOf($"{seed} apportion {round}").Shuffle(order);
        foreach (var arm in order.OrderByDescending(arm => (shares[arm] * count) - counts[arm]).Take(left))
        {
            counts[arm]++;
        }

        return counts;
    }

    /// <summary>The shares of the next round: (1 − γ) · (0.3 · share + 0.7 · best of the arm / best of all) + γ / arms.</summary>
    /// <param name="shares">Of the round.</param>
    /// <param name="best">[arms] number of the best of the round that are of each arm; where there are none the shares stay.</param>
    /// <param name="exploration">γ, which is always spread evenly.</param>
    public static double[] Move(IReadOnlyList<double> shares, IReadOnlyList<int> best, double exploration)
    {
        var all = best.Sum();
        return
        [
            .. shares.Select(
                (share, arm) =>
                    ((1 - exploration) * (all == 0 ? share : ((1 - Smoothing) * share) + (Smoothing * best[arm] / all)))
                    + (exploration / shares.Count)
            ),
        ];
    }

    static Random RandomOf(string name) => new(BinaryPrimitives.ReadInt32LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(name))));

    /// <summary>One family's random stream, sorted by levels.</summary>
    sealed class Stream
    {
        readonly IProblemFamily _family;
        readonly int[] _bounds; // longest solution of each level but the last
        readonly Random _random;
        readonly HashSet<string> _seen = [];
        readonly Queue<ProblemDraft>[] _waiting;

        public Stream(IProblemFamily family, int levels, long seed)
        {
            _family = family;
            _random = RandomOf($"{seed} search {family.Name}");
            var random = RandomOf($"levels {family.Name}");
            int[] lengths = [.. Enumerable.Range(0, Sample).Select(_ => family.Draw(random).Solution.Length).Order()];
            _bounds =
            [
                .. Enumerable
                    .Range(1, levels - 1)
                    .Select(level => lengths[(level * Sample / levels) - 1])
                    .Where(bound => bound < lengths[^1])
                    .Distinct(),
            ];
            _waiting = [.. Enumerable.Range(0, Levels).Select(_ => new Queue<ProblemDraft>())];
        }

        public string Name => _family.Name;

        public int Levels => _bounds.Length + 1;

        /// <returns>Null where there are no more.</returns>
        public Problem? Next(int level, Func<Problem, bool> isTaken)
        {
            for (var repeats = 0; repeats < MaxRepeats; repeats++)
            {
                if (_waiting[level].TryDequeue(out var draft))
                {
                    return ProblemGenerator.ToProblem(_family, draft);
                }

                draft = _family.Draw(_random);
                if (
                    ProblemSplits.Of(Name, draft.Key) == ProblemSplit.Train
                    && _seen.Add(draft.Key)
                    && !isTaken(ProblemGenerator.ToProblem(_family, draft))
                )
                {
                    _waiting[_bounds.Count(bound => bound < draft.Solution.Length)].Enqueue(draft);
                }
            }

            return null;
        }
    }
}
