using Microsoft.Extensions.AI;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Integrations;

/// <summary>
/// The keys under which replies carry more than text: in the metadata of Semantic Kernel's messages, and in the additional properties of
/// Microsoft.Extensions.AI's responses.
/// </summary>
public static class ReplyMetadata
{
    /// <summary>A <see cref="UsageDetails"/>. Semantic Kernel only: a <see cref="ChatResponse"/> has a property for it.</summary>
    public const string Usage = "Usage";

    /// <summary>The server's own word for the end, as <see cref="GenerationResult.FinishReason"/>.</summary>
    public const string FinishReason = "FinishReason";

    /// <summary>
    /// The reasoning as text; absent where there is none. Semantic Kernel only: a <see cref="ChatResponse"/> has content for it.
    /// </summary>
    public const string Reasoning = "Reasoning";

    /// <summary>A <see cref="TokenLogprobs"/>; absent where none were asked for or given.</summary>
    public const string Logprobs = "Logprobs";

    /// <summary>
    /// The tools that the model calls, as the text of a JSON list in the form of chat completions; absent where it calls none.
    /// </summary>
    public const string ToolCalls = "ToolCalls";

    /// <summary>Metadata that both frameworks carry in the same way.</summary>
    internal static Dictionary<string, object?> Of(GenerationResult result)
    {
        var metadata = new Dictionary<string, object?> { [FinishReason] = result.FinishReason };
        if (result.Logprobs is { } logprobs)
        {
            metadata[Logprobs] = logprobs;
        }

        if (result.ToolCalls is { } calls)
        {
            metadata[ToolCalls] = calls;
        }

        return metadata;
    }

    internal static UsageDetails UsageOf(GenerationResult result) =>
        new()
        {
            InputTokenCount = result.PromptTokens,
            OutputTokenCount = result.CompletionTokens,
            TotalTokenCount = result.PromptTokens + result.CompletionTokens,
        };
}
