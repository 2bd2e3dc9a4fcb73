using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Journal;

/// <summary>Outcomes of a number of traces, counted.</summary>
/// <param name="Correct">With a correct answer.</param>
/// <param name="Length">Cut off at the longest length allowed.</param>
/// <param name="Refusal">Refused, prompts that are too long for the teacher's context included.</param>
/// <param name="Empty">Without an answer, though neither cut off nor refused.</param>
/// <param name="Unfinished">Broken off for another reason than their length.</param>
readonly record struct TraceCounts(long Correct, long Length, long Refusal, long Empty, long Unfinished = 0)
{
    public static TraceCounts operator +(TraceCounts left, TraceCounts right) =>
        new(
            left.Correct + right.Correct,
            left.Length + right.Length,
            left.Refusal + right.Refusal,
            left.Empty + right.Empty,
            left.Unfinished + right.Unfinished
        );

    public TraceCounts With(TraceHead head)
    {
        var flaw = TraceFlaws.Of(head);
        return this
            + new TraceCounts(
                head.Verdict == Verdict.Correct.ToName() ? 1 : 0,
                flaw == TraceFlaw.Length ? 1 : 0,
                flaw == TraceFlaw.Refusal ? 1 : 0,
                flaw == TraceFlaw.Empty ? 1 : 0,
                flaw == TraceFlaw.Unfinished ? 1 : 0
            );
    }
}
