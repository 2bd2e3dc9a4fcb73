using TraceDistill.Teachers.Telemetry;

namespace TraceDistill.Teachers;

/// <summary>What a collection came to, over all runs that contributed to it.</summary>
/// <param name="Count">Traces published.</param>
/// <param name="Correct">Traces with a correct answer.</param>
/// <param name="Tokens">Tokens in them.</param>
/// <param name="Bytes">Size of the shards on disk.</param>
/// <param name="BytesPerToken">Of which for each token.</param>
/// <param name="TopK">Alternatives kept for each token.</param>
/// <param name="Collected">Traces that this run added.</param>
/// <param name="Failed">Samples that failed for good in this run; running again asks for them again.</param>
/// <param name="Length">Traces that were cut off at the longest length allowed.</param>
/// <param name="Refusal">Traces that are refusals.</param>
/// <param name="Empty">Traces that ended without an answer.</param>
public sealed record CollectSummary(
    long Count, long Correct, long Tokens, long Bytes, double BytesPerToken, int TopK, long Collected, long Failed, long Length, long Refusal, long Empty)
{
    /// <summary>
    /// <c>budget</c> where the budget was spent before all traces were there, <c>failures</c> where samples failed; null where nothing is missing, and a
    /// recipe need not come back to it.
    /// </summary>
    public string? StoppedBy { get; init; }

    /// <summary>What was taken of the teacher; null where nothing is known about it.</summary>
    public CollectionUsage? Usage { get; init; }
}
