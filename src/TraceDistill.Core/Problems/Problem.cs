namespace TraceDistill.Core.Problems;

/// <summary>A question with a known answer, and a worked solution where there is one.</summary>
public sealed record Problem
{
    /// <summary>Unique within a problem set. Content hash where the source has no id.</summary>
    public required string Id { get; init; }

    /// <summary>The question as the model is to see it. Column and JSON name: <c>problem</c>.</summary>
    public required string Text { get; init; }

    /// <summary>The final answer alone, such as <c>72</c>.</summary>
    public required string Answer { get; init; }

    /// <summary>A worked solution without the final answer line, or null.</summary>
    public string? Solution { get; init; }

    /// <summary>The problem family or data set, such as <c>addition</c> or <c>gsm8k</c>: reports break accuracy down by it.</summary>
    public required string Family { get; init; }
}
