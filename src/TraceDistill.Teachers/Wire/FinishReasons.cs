namespace TraceDistill.Teachers.Wire;

/// <summary>Why generations end, of those words that mean something to this program.</summary>
static class FinishReasons
{
    /// <summary>The longest allowed answer was reached.</summary>
    public const string Length = "length";

    /// <summary>The model declined: no server's word but a label of this program, whatever the server said.</summary>
    public const string Refusal = "refusal";

    /// <summary>A filter in front of the model or behind it stepped in: OpenAI's word, and the label of a prompt that was refused as such.</summary>
    public const string ContentFilter = "content_filter";

    /// <summary>The prompt is too long for the teacher's context: the label of a prompt that was refused as such.</summary>
    public const string ContextLength = "context_length";

    /// <summary>Whether there is, rightly, no generation to learn from.</summary>
    public static bool IsRefusal(string? finishReason) => finishReason is Refusal or ContentFilter or ContextLength;
}
