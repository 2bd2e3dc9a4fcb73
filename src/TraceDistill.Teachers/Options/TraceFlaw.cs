using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Options;

/// <summary>
/// Why a trace is of little use although the teacher answered. It is kept all the same; see <see cref="GenerateOptions.Reask"/>.
/// </summary>
public enum TraceFlaw
{
    /// <summary>Cut off at the longest length allowed.</summary>
    Length,

    /// <summary>The teacher, or a filter in front of it, refused, or its context cannot hold the prompt.</summary>
    Refusal,

    /// <summary>Ended of its own accord without an answer.</summary>
    Empty,

    /// <summary>Broken off for another reason, or for one that is not known: no end of the model's own.</summary>
    Unfinished,
}

static class TraceFlaws
{
    /// <returns>Null for a trace without flaw.</returns>
    public static TraceFlaw? Of(TraceHead head) =>
        head switch
        {
            _ when FinishReasons.IsTooLong(head.FinishReason) => TraceFlaw.Length,
            _ when FinishReasons.IsRefusal(head.FinishReason) => TraceFlaw.Refusal,
            _ when !FinishReasons.IsNatural(head.FinishReason) => TraceFlaw.Unfinished,
            { HasAnswer: false } => TraceFlaw.Empty,
            _ => null,
        };

    public static TraceHead HeadOf(Trace trace) =>
        new(
            TraceKey.Of(trace.Id),
            trace.Verdict,
            trace.FinishReason,
            !string.IsNullOrWhiteSpace(trace.Answer) || trace.ToolCalls is not null,
            trace.Seed,
            trace.ExpectedAnswer
        );
}
