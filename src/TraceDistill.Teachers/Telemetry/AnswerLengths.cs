namespace TraceDistill.Teachers.Telemetry;

/// <summary>
/// Lengths of answers, for an estimate of those of which nobody saw the end. A server charges for what it generated, which is rarely as
/// much as it was
/// allowed to. Not thread-safe.
/// </summary>
sealed class AnswerLengths
{
    /// <summary>Length that a lost answer is taken to have before any was seen: a share of the longest allowed.</summary>
    const double FirstGuess = 0.25;

    /// <summary>Answers are rather lost for being long.</summary>
    const double LostQuantile = 0.95;

    readonly SortedDictionary<int, long> _counts = [];
    long _count;
    long _sum;

    /// <summary>An answer was seen whole.</summary>
    public void Add(int tokens)
    {
        _counts[tokens] = _counts.GetValueOrDefault(tokens) + 1;
        (_count, _sum) = (_count + 1, _sum + tokens);
    }

    /// <summary>Tokens of an answer that timed out or broke off: as many as 95 % of the others stay within.</summary>
    /// <param name="most">Most that it can have.</param>
    public int Lost(int most)
    {
        var rank = (long)Math.Ceiling(LostQuantile * _count);
        foreach (var (tokens, count) in _counts)
        {
            if ((rank -= count) <= 0)
            {
                return Math.Min(most, tokens);
            }
        }

        return Guess(most);
    }

    /// <summary>Tokens of an answer that was given up halfway: as many as the others have on average.</summary>
    /// <inheritdoc cref="Lost"/>
    public int Abandoned(int most) => _count == 0 ? Guess(most) : (int)Math.Min(most, _sum / _count);

    static int Guess(int most) => (int)Math.Ceiling(FirstGuess * most);
}
