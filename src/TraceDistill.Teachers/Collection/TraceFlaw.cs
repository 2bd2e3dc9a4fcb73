using TraceDistill.Core.Storage;
using TraceDistill.Core.Traces;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Collection;

/// <summary>Why a trace is of little use although the teacher answered. It is kept all the same; see <see cref="GenerateOptions.Reask"/>.</summary>
public enum TraceFlaw
{
    /// <summary>Cut off at the longest length allowed.</summary>
    Length,

    /// <summary>The teacher, or a filter in front of it, refused, or its context cannot hold the prompt.</summary>
    Refusal,

    /// <summary>Ended of its own accord without an answer.</summary>
    Empty,
}

static class TraceFlaws
{
    /// <returns>Null for a trace without flaw.</returns>
    public static TraceFlaw? Of(TraceHead head) => head switch
    {
        { FinishReason: "length" } => TraceFlaw.Length,
        { FinishReason: FinishReasons.Refusal or FinishReasons.ContentFilter or FinishReasons.ContextLength } => TraceFlaw.Refusal,
        { HasAnswer: false } => TraceFlaw.Empty,
        _ => null,
    };

    public static TraceHead HeadOf(Trace trace) => new(TraceKey.Of(trace.Id), trace.Verdict, trace.FinishReason, !string.IsNullOrWhiteSpace(trace.Answer), trace.Seed);
}
