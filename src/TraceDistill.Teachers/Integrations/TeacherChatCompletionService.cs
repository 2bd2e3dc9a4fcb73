using System.Runtime.CompilerServices;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Services;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Pool;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Integrations;

/// <summary>
/// A teacher as a chat service of Semantic Kernel. A reply's content is the answer; its metadata are
/// those of <see cref="ReplyMetadata"/>, and its inner content is the <see cref="GenerationResult"/>.
/// </summary>
/// <remarks>
/// Execution settings are read by their JSON names (<c>temperature</c>, <c>top_p</c>, <c>max_tokens</c>, <c>seed</c>, <c>logprobs</c>,
/// <c>top_logprobs</c>), as prompt files and OpenAI's settings have them; anything else passes through to the server.
/// </remarks>
/// <param name="teacher">The teacher, which outlives the service.</param>
sealed class TeacherChatCompletionService(TeacherPool teacher) : IChatCompletionService
{
    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?> Attributes { get; } =
        new Dictionary<string, object?>
        {
            [AIServiceExtensions.ModelIdKey] = teacher.First.Model,
            [AIServiceExtensions.EndpointKey] = teacher.First.BaseAddress.ToString(),
        };

    /// <inheritdoc/>
    /// <returns>Exactly one message.</returns>
    /// <exception cref="HttpOperationException">
    /// The request failed, whatever was tried; its inner exception says whether others can succeed.
    /// </exception>
    /// <exception cref="NotSupportedException">The turns hold more than text, or the model is to choose functions.</exception>
    public async Task<IReadOnlyList<ChatMessageContent>> GetChatMessageContentsAsync(
        ChatHistory chatHistory,
        PromptExecutionSettings? executionSettings = null,
        Kernel? kernel = null,
        CancellationToken cancellationToken = default
    )
    {
        var request = RequestOf(chatHistory, executionSettings, kernel);
        try
        {
            var result = await teacher.GenerateAsync(request, cancellationToken);
            await Task.Yield(); // Answers are parsed on threads that a caller's code may not block.
            return
            [
                new ChatMessageContent(
                    AuthorRole.Assistant,
                    result.Answer,
                    result.Model ?? teacher.First.Model,
                    result,
                    metadata: MetadataOf(result)
                ),
            ];
        }
        catch (Exception e) when (RequestFailure.Is(e))
        {
            throw RequestFailure.ForKernel(e);
        }
    }

    /// <summary>
    /// The answer in pieces as it is generated, those of the reasoning under <see cref="ReplyMetadata.Reasoning"/> in the metadata
    /// of pieces without content; then a last one without text whose metadata and inner content are those of the whole reply.
    /// </summary>
    /// <inheritdoc cref="GetChatMessageContentsAsync" path="/exception"/>
    public async IAsyncEnumerable<StreamingChatMessageContent> GetStreamingChatMessageContentsAsync(
        ChatHistory chatHistory,
        PromptExecutionSettings? executionSettings = null,
        Kernel? kernel = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        var request = RequestOf(chatHistory, executionSettings, kernel);
        await using var pieces = teacher.StreamAsync(request, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await NextAsync(pieces))
        {
            var (reasoning, answer, whole) = pieces.Current;
            var metadata =
                whole is not null ? MetadataOf(whole)
                : reasoning is not null ? new Dictionary<string, object?> { [ReplyMetadata.Reasoning] = reasoning }
                : null;
            yield return new StreamingChatMessageContent(
                AuthorRole.Assistant,
                answer,
                whole,
                modelId: whole?.Model ?? teacher.First.Model,
                metadata: metadata
            );
        }
    }

    static async ValueTask<bool> NextAsync(IAsyncEnumerator<GenerationPiece> pieces)
    {
        try
        {
            return await pieces.MoveNextAsync();
        }
        catch (Exception e) when (RequestFailure.Is(e))
        {
            throw RequestFailure.ForKernel(e);
        }
    }

    static GenerationRequest RequestOf(ChatHistory history, PromptExecutionSettings? settings, Kernel? kernel)
    {
        ArgumentNullException.ThrowIfNull(history);
        return settings?.FunctionChoiceBehavior is not null && kernel?.Plugins.Count > 0
            ? throw new NotSupportedException(
                "a TraceDistill teacher does not support functions; leave FunctionChoiceBehavior out of the settings"
            )
            : new GenerationRequest(
                $"chatcmpl-{Guid.NewGuid():N}",
                [.. history.Select(turn => new ChatMessage(turn.Role.Label, TextOf(turn)))],
                RequestSettings.Of(settings)
            );
    }

    static string TextOf(ChatMessageContent turn) =>
        turn.Items.FirstOrDefault(item => item is not TextContent) is { } other
            ? throw new NotSupportedException($"a TraceDistill teacher accepts text only, and a turn holds {other.GetType().Name}")
            : string.Concat(turn.Items.OfType<TextContent>().Select(item => item.Text));

    static Dictionary<string, object?> MetadataOf(GenerationResult result)
    {
        var metadata = ReplyMetadata.Of(result);
        metadata[ReplyMetadata.Usage] = ReplyMetadata.UsageOf(result);
        if (result.Reasoning.Length > 0)
        {
            metadata[ReplyMetadata.Reasoning] = result.Reasoning;
        }

        return metadata;
    }
}
