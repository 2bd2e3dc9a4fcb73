namespace TraceDistill.Data.Generation;

/// <summary>The reasons that servers give for the end of a generation. What is stored is the server's own word.</summary>
public static class FinishReasons
{
    /// <summary>The model ended its answer.</summary>
    public const string Stop = "stop";

    /// <summary>The longest allowed answer was reached.</summary>
    public const string Length = "length";

    /// <summary>The model declined: no server's word but a label of this program, whatever the server said.</summary>
    public const string Refusal = "refusal";

    /// <summary>
    /// A filter in front of the model or behind it stepped in: OpenAI's word, and the label of a prompt that was refused as such.
    /// </summary>
    public const string ContentFilter = "content_filter";

    /// <summary>The prompt is too long for the teacher's context: the label of a prompt that was refused as such.</summary>
    public const string ContextLength = "context_length";

    /// <summary>A label of this program where the server gave no reason.</summary>
    public const string Unknown = "unknown";

    /// <summary>The words for an answer that is whole, neither a refusal nor a call of tools.</summary>
    public static IReadOnlyList<string> Answered { get; } =
    [Stop, "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "human"];

    static readonly HashSet<string> Natural = new(
        [.. Answered, Refusal, "tool_calls", "tool_call", "tool_use", "function_call"],
        StringComparer.OrdinalIgnoreCase
    );

    static readonly HashSet<string> TooLong = new(StringComparer.OrdinalIgnoreCase)
    {
        Length,
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "max_length",
        "model_context_window_exceeded",
        "context_length_exceeded",
    };

    static readonly HashSet<string> Filters = new(
        [ContentFilter, "sensitive", "safety", "prohibited_content", "recitation", "blocklist"],
        StringComparer.OrdinalIgnoreCase
    );

    /// <summary>
    /// Returns whether the model ended the generation itself, with its end token. Any other is a part of a trace: whatever is not known to
    /// be an
    /// end is none.
    /// </summary>
    public static bool IsNatural(string finishReason) => Natural.Contains(finishReason);

    /// <summary>Returns whether the generation reached the longest allowed answer, or the end of the model's context.</summary>
    public static bool IsTooLong(string finishReason) => TooLong.Contains(finishReason);

    /// <summary>Returns whether there is, rightly, no generation to learn from.</summary>
    public static bool IsRefusal(string finishReason) => finishReason is Refusal or ContextLength || Filters.Contains(finishReason);
}
