using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Services;
using TraceDistill.Core.Generation;
using TraceDistill.Teachers.Wire;
using ChatMessage = TraceDistill.Core.Generation.ChatMessage;

namespace TraceDistill.Teachers.Connector;

/// <summary>
/// A teacher as a Semantic Kernel chat service, for any program: <see cref="TeacherKernelExtensions"/> adds one. The reply's content is the answer;
/// its <see cref="KernelContent.InnerContent"/> is a <see cref="GenerationResult"/> with the reasoning, the raw text and the logprobs, and its
/// metadata tell usage and finish reason.
/// </summary>
/// <remarks>
/// The stock OpenAI connector makes some twenty objects for every token with top-20 logprobs and knows neither token ids nor reasoning;
/// this one reads responses into columns. It sends each request once: retry is the HTTP client's, or a decorator's.
/// </remarks>
public sealed class ChatCompletionConnector : IChatCompletionService
{
    /// <summary>Metadata: a <see cref="UsageDetails"/>.</summary>
    public const string UsageKey = "Usage";

    /// <summary>Metadata: why the generation ended, as <see cref="GenerationResult.FinishReason"/>.</summary>
    public const string FinishReasonKey = "FinishReason";

    /// <summary>Metadata: the reasoning as text; absent where there is none.</summary>
    public const string ReasoningKey = "Reasoning";

    readonly TeacherClient _client;

    internal ChatCompletionConnector(TeacherClient client)
    {
        _client = client;
        Attributes = new Dictionary<string, object?>
        {
            [AIServiceExtensions.ModelIdKey] = client.Endpoint.Model,
            [AIServiceExtensions.EndpointKey] = client.Endpoint.BaseAddress.ToString(),
        };
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?> Attributes { get; }

    /// <inheritdoc/>
    /// <param name="chatHistory">Turns of text.</param>
    /// <param name="executionSettings">
    /// <c>temperature</c>, <c>top_p</c>, <c>max_tokens</c>, <c>seed</c>, <c>logprobs</c> and <c>top_logprobs</c> under these names, as prompt files and
    /// OpenAI's settings have them; anything else passes through to the server.
    /// </param>
    /// <param name="kernel">Not used.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>Exactly one message.</returns>
    /// <exception cref="TeacherRequestException">The attempt failed.</exception>
    public async Task<IReadOnlyList<ChatMessageContent>> GetChatMessageContentsAsync(
        ChatHistory chatHistory, PromptExecutionSettings? executionSettings = null, Kernel? kernel = null, CancellationToken cancellationToken = default)
    {
        var result = await _client.CompleteAsync(
            MessagesOf(chatHistory), ExecutionSettings.Read(executionSettings), (executionSettings as TeacherExecutionSettings)?.Progress, cancellationToken);
        return [new ChatMessageContent(AuthorRole.Assistant, result.Answer, _client.Endpoint.Model, result, metadata: MetadataOf(result))];
    }

    /// <summary>
    /// The answer in pieces as it is generated, those of the reasoning under <see cref="ReasoningKey"/> in the metadata of pieces without content; then a last
    /// one without text whose <see cref="KernelContent.InnerContent"/> and metadata are those of the whole reply.
    /// </summary>
    /// <inheritdoc cref="GetChatMessageContentsAsync" path="/param"/>
    /// <exception cref="TeacherRequestException">The attempt failed, perhaps after some pieces.</exception>
    public async IAsyncEnumerable<StreamingChatMessageContent> GetStreamingChatMessageContentsAsync(
        ChatHistory chatHistory, PromptExecutionSettings? executionSettings = null, Kernel? kernel = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var pieces = Channel.CreateUnbounded<StreamedText>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var generating = GenerateAsync(left.Token);
        try
        {
            await foreach (var (content, reasoning) in pieces.Reader.ReadAllAsync(cancellationToken))
            {
                if (!string.IsNullOrEmpty(reasoning))
                {
                    yield return PieceOf(content: null, new Dictionary<string, object?> { [ReasoningKey] = reasoning });
                }

                if (!string.IsNullOrEmpty(content))
                {
                    yield return PieceOf(content);
                }
            }

            var result = await generating;
            yield return PieceOf(content: null, MetadataOf(result), result);
        }
        finally
        {
            // Who stops reading wants no more to be generated.
            await left.CancelAsync();
            await ((Task)generating).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task<GenerationResult> GenerateAsync(CancellationToken token)
        {
            try
            {
                return await _client.StreamAsync(MessagesOf(chatHistory), ExecutionSettings.Read(executionSettings), piece => pieces.Writer.TryWrite(piece), token);
            }
            finally
            {
                pieces.Writer.Complete();
            }
        }

        StreamingChatMessageContent PieceOf(string? content, Dictionary<string, object?>? metadata = null, GenerationResult? result = null) =>
            new(AuthorRole.Assistant, content, result, modelId: _client.Endpoint.Model, metadata: metadata);
    }

    static ChatMessage[] MessagesOf(ChatHistory history) => [.. history.Select(turn => new ChatMessage(turn.Role.Label, turn.Content ?? ""))];

    static Dictionary<string, object?> MetadataOf(GenerationResult result)
    {
        var metadata = new Dictionary<string, object?>
        {
            [UsageKey] = new UsageDetails
            {
                InputTokenCount = result.PromptTokens,
                OutputTokenCount = result.CompletionTokens,
                TotalTokenCount = result.PromptTokens + result.CompletionTokens,
            },
            [FinishReasonKey] = result.FinishReason,
        };
        if (result.Reasoning.Length > 0)
        {
            metadata[ReasoningKey] = result.Reasoning;
        }

        return metadata;
    }
}
