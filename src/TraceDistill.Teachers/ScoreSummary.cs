using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Telemetry;
using static System.FormattableString;

namespace TraceDistill.Teachers;

/// <summary>Result of a scoring, over all runs that contributed to it.</summary>
/// <param name="Count">Rows, those of the source.</param>
/// <param name="Scored">Rows with soft targets.</param>
/// <param name="Tokens">Tokens in all rows.</param>
/// <param name="Bytes">Size of the shards on disk.</param>
/// <param name="TopK">Alternatives kept for each token.</param>
/// <param name="New">Rows that this run added.</param>
public sealed record ScoreSummary(long Count, long Scored, long Tokens, long Bytes, int TopK, long New)
{
    /// <summary>Rows without soft targets, and why; null for none.</summary>
    public UnscoredTraces? Unscored { get; init; }

    /// <summary>Usage of the teacher's endpoints; null where none were asked.</summary>
    public CollectionUsage? Usage { get; init; }

    /// <summary>One line for who waited for it: <c>400 traces (234 new), 398 scored; without soft targets: 2 too long …</c>.</summary>
    public override string ToString()
    {
        var cost = Usage?.Cost is { } paid ? Invariant($"; cost {paid:0.####}") : "";
        var unscored = Unscored is null ? "" : $"; without soft targets: {Unscored}";
        return Invariant($"{Counted.Of(Count, "trace")} ({(New == Count ? "all" : $"{New:N0}")} new), {Scored:N0} scored")
            + Invariant($" with top {TopK}, {Tokens:N0} tokens{unscored}{cost}");
    }
}
