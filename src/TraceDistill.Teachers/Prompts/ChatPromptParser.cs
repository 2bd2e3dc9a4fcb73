using System.Runtime.CompilerServices;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Prompts;

/// <summary>
/// Semantic Kernel parses its chat syntax only on the way to a chat service; this one answers nothing and keeps the turns it was sent.
/// </summary>
sealed class ChatPromptParser : IChatCompletionService
{
    public IReadOnlyList<ChatMessage> Turns { get; private set; } = [];

    public IReadOnlyDictionary<string, object?> Attributes { get; } = new Dictionary<string, object?>();

    public Task<IReadOnlyList<ChatMessageContent>> GetChatMessageContentsAsync(
        ChatHistory chatHistory,
        PromptExecutionSettings? executionSettings = null,
        Kernel? kernel = null,
        CancellationToken cancellationToken = default
    )
    {
        Turns = [.. chatHistory.Select(turn => new ChatMessage(turn.Role.Label, turn.Content ?? ""))];
        return Task.FromResult<IReadOnlyList<ChatMessageContent>>([]);
    }

    public async IAsyncEnumerable<StreamingChatMessageContent> GetStreamingChatMessageContentsAsync(
        ChatHistory chatHistory,
        PromptExecutionSettings? executionSettings = null,
        Kernel? kernel = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        await GetChatMessageContentsAsync(chatHistory, executionSettings, kernel, cancellationToken);
        yield break;
    }
}
