using TraceDistill.Data.Traces;

namespace TraceDistill.Evaluation;

/// <summary>One answer of one model: a line of <c>MODEL.jsonl</c>.</summary>
public sealed record EvaluationRecord
{
    /// <summary>Content hash of everything that was asked (see <see cref="TraceId"/>): what is here is not asked again.</summary>
    public required string Id { get; init; }

    public required string ProblemId { get; init; }

    public required string Family { get; init; }

    /// <summary>0 is the greedy answer; 1 to K are samples.</summary>
    public required int SampleIndex { get; init; }

    public required bool Correct { get; init; }

    /// <summary>
    /// True where the answer could not be compared with the expected one. It counts as wrong, and is counted on its own.
    /// </summary>
    public bool Unverified { get; init; }

    /// <summary>The answer as read from the generation; null where there is none.</summary>
    public required string? Answer { get; init; }

    public required string Expected { get; init; }

    /// <summary>Generated tokens, end-of-sequence included.</summary>
    public required int Tokens { get; init; }

    public required string FinishReason { get; init; }

    /// <summary>True where its reasoning never came to an end, so that there is no answer.</summary>
    public bool IsUnclosed { get; init; }

    /// <summary>The raw text as generated, think tags included; null in records read back, for only the file holds it.</summary>
    public string? Generation { get; init; }
}
