namespace TraceDistill.Data.Shards;

/// <summary>Traces of a scored data set that have no soft targets.</summary>
/// <param name="Count">Their number.</param>
/// <param name="Reasons">Why, the most frequent reason first.</param>
public sealed record UnscoredTraces(long Count, IReadOnlyList<UnscoredReason> Reasons)
{
    /// <param name="reasons">That of each trace without soft targets.</param>
    /// <returns>Null where there are none.</returns>
    public static UnscoredTraces? Of(IEnumerable<string> reasons)
    {
        var counts = reasons
            .CountBy(reason => reason)
            .OrderByDescending(reason => reason.Value)
            .ThenBy(reason => reason.Key, StringComparer.Ordinal)
            .Select(reason => new UnscoredReason(reason.Key, reason.Value))
            .ToList();
        return counts.Count == 0 ? null : new UnscoredTraces(counts.Sum(reason => reason.Count), counts);
    }

    /// <summary><c>3 too long for the teacher's context, 1 refused by the teacher's server</c>.</summary>
    public override string ToString() =>
        string.Join(", ", Reasons.Select(reason => FormattableString.Invariant($"{reason.Count:N0} {reason.Reason}")));
}

/// <summary>A reason for which traces have no soft targets.</summary>
/// <param name="Reason">In words that follow a number of traces.</param>
/// <param name="Count">Number of traces.</param>
public sealed record UnscoredReason(string Reason, long Count);

/// <summary>The traces that have no soft targets for one reason.</summary>
/// <param name="Reason">As in <see cref="UnscoredReason"/>.</param>
/// <param name="Keys">Their <see cref="Traces.TraceKey"/>s.</param>
public sealed record UnscoredKeys(string Reason, IReadOnlyList<string> Keys);
