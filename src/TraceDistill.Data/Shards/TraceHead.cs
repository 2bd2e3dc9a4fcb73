using TraceDistill.Data.Traces;

namespace TraceDistill.Data.Shards;

/// <summary>The part of a trace that tells what came of it, without its text and tokens.</summary>
/// <param name="Key">See <see cref="Traces.Trace.Id"/>.</param>
/// <param name="Verdict">See <see cref="Traces.Trace.Verdict"/>.</param>
/// <param name="FinishReason">See <see cref="Traces.Trace.FinishReason"/>.</param>
/// <param name="HasAnswer">True where the answer is more than blanks, or calls a tool.</param>
/// <param name="Seed">See <see cref="Traces.Trace.Seed"/>.</param>
/// <param name="ExpectedAnswer">See <see cref="Traces.Trace.ExpectedAnswer"/>.</param>
public readonly record struct TraceHead(
    TraceKey Key,
    string Verdict,
    string FinishReason,
    bool HasAnswer,
    long Seed,
    string ExpectedAnswer
);
