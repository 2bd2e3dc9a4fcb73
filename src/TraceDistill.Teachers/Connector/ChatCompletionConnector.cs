using System.Runtime.CompilerServices;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Services;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Connector;

/// <summary>
/// A teacher as a Semantic Kernel chat service. The reply's <see cref="KernelContent.InnerContent"/> is a <see cref="GenerationResult"/>.
/// </summary>
/// <remarks>
/// The stock OpenAI connector makes some twenty objects for every token with top-20 logprobs and knows neither token ids nor reasoning;
/// this one reads responses into columns. It sends each request once: retry is a decorator's.
/// </remarks>
sealed class ChatCompletionConnector(TeacherClient client) : IChatCompletionService
{
    public IReadOnlyDictionary<string, object?> Attributes { get; } = new Dictionary<string, object?>
    {
        [AIServiceExtensions.ModelIdKey] = client.Endpoint.Model,
        [AIServiceExtensions.EndpointKey] = client.Endpoint.BaseAddress.ToString(),
    };

    /// <returns>Exactly one message.</returns>
    /// <exception cref="TeacherRequestException">The attempt failed.</exception>
    public async Task<IReadOnlyList<ChatMessageContent>> GetChatMessageContentsAsync(
        ChatHistory chatHistory, PromptExecutionSettings? executionSettings = null, Kernel? kernel = null, CancellationToken cancellationToken = default)
    {
        var sampling = (executionSettings as TeacherExecutionSettings)?.Sampling ?? new SamplingSettings();
        var messages = chatHistory.Select(turn => new ChatMessage(turn.Role.Label, turn.Content ?? "")).ToArray();
        var result = await client.CompleteAsync(messages, sampling, cancellationToken);
        return [new ChatMessageContent(AuthorRole.Assistant, result.Text, client.Endpoint.Model, result)];
    }

    /// <summary>The whole reply as one piece: logprobs are of use only when complete.</summary>
    public async IAsyncEnumerable<StreamingChatMessageContent> GetStreamingChatMessageContentsAsync(
        ChatHistory chatHistory, PromptExecutionSettings? executionSettings = null, Kernel? kernel = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var message in await GetChatMessageContentsAsync(chatHistory, executionSettings, kernel, cancellationToken))
        {
            yield return new StreamingChatMessageContent(message.Role, message.Content, message.InnerContent, modelId: message.ModelId);
        }
    }
}
