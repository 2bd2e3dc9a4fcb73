using TraceDistill.Data.Generation;
using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Traces;

/// <summary>One row of a shard: a teacher's (or a human's) worked solution of one problem.</summary>
public sealed record Trace
{
    /// <summary>Content hash of problem, rendered prompt, teacher, sampling settings and sample index; see <see cref="TraceId"/>.</summary>
    public required string Id { get; init; }

    public required string ProblemId { get; init; }

    /// <summary>The problem family or data set.</summary>
    public required string Source { get; init; }

    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>The reasoning, without its think tags.</summary>
    public required string Reasoning { get; init; }

    /// <summary>The answer as the teacher wrote it, after the reasoning.</summary>
    public required string Answer { get; init; }

    /// <summary>The raw generated text.</summary>
    public required string Generation { get; init; }

    public required string ExpectedAnswer { get; init; }

    /// <summary><c>stop</c>, <c>length</c>, … or <c>human</c> for solutions written by people.</summary>
    public required string FinishReason { get; init; }

    /// <summary><c>correct</c>, <c>incorrect</c> or <c>unverified</c>.</summary>
    public required string Verdict { get; init; }

    public int SampleIndex { get; init; }

    public long Seed { get; init; }

    public double Temperature { get; init; }

    public double TopP { get; init; }

    /// <summary>Model name as the endpoint knows it.</summary>
    public required string Teacher { get; init; }

    public int PromptTokens { get; init; }

    public int CompletionTokens { get; init; }

    public int LatencyMs { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>The teacher's ids of the rendered prompt; empty where unknown.</summary>
    public int[] PromptTokenIds { get; init; } = [];

    /// <summary>Tokens drawn with their soft targets; null for text-only traces (hard loss only).</summary>
    public TokenLogprobs? Logprobs { get; init; }

    /// <summary>The tools that the teacher called: a JSON list in the form of chat completions; null where it called none.</summary>
    public string? ToolCalls { get; init; }
}
