namespace TraceDistill.Data.Generation;

/// <summary>One generated assistant turn.</summary>
public sealed record GenerationResult
{
    /// <summary>The reasoning, without its think tags; empty where the model gave none.</summary>
    public required string Reasoning { get; init; }

    /// <summary>The text behind the reasoning.</summary>
    public required string Answer { get; init; }

    /// <summary>The raw text as generated, think tags included, end-of-sequence excluded.</summary>
    public required string Text { get; init; }

    /// <summary>
    /// The tools that the model calls in place of an answer or beside it: a JSON list in the form of chat completions; null for none.
    /// </summary>
    public string? ToolCalls { get; init; }

    /// <summary><c>stop</c>, <c>length</c> or whatever else the server said; see <see cref="FinishReasons"/>.</summary>
    public required string FinishReason { get; init; }

    /// <summary>The model's name in the server's own words, where it gives one.</summary>
    public string? Model { get; init; }

    /// <summary>Ids of the prompt after the chat template, where the server tells them.</summary>
    public int[]? PromptTokenIds { get; init; }

    /// <summary>Length of the prompt in tokens.</summary>
    public int PromptTokens { get; init; }

    /// <summary>Length of the generation in tokens, end-of-sequence included.</summary>
    public int CompletionTokens { get; init; }

    /// <summary>Tokens drawn, with the distributions that they were drawn from; null where no logprobs were asked for or given.</summary>
    public TokenLogprobs? Logprobs { get; init; }

    /// <summary>Why there are none although they were asked for; null where there are, or none were asked for.</summary>
    public LogprobLack? LogprobLack { get; init; }
}
