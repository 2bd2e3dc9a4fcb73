using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Pool;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatTurn = TraceDistill.Text.Chat.ChatMessage;

namespace TraceDistill.Teachers.Integrations;

/// <summary>A teacher as a chat client of Microsoft.Extensions.AI.</summary>
/// <param name="teacher">The teacher, which outlives the client.</param>
sealed class TeacherChatClient(TeacherPool teacher) : IChatClient
{
    readonly ChatClientMetadata _metadata = new(nameof(TraceDistill), teacher.First.BaseAddress, teacher.First.Model);

    /// <inheritdoc/>
    /// <exception cref="HttpRequestException">
    /// The request failed, whatever was tried; its inner exception says whether others can succeed.
    /// </exception>
    /// <exception cref="NotSupportedException">The messages hold more than text, or the options tools or another model.</exception>
    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        var request = RequestOf(messages, options);
        try
        {
            var result = await teacher.GenerateAsync(request, cancellationToken);
            await Task.Yield(); // Answers are parsed on threads that a caller's code may not block.
            return ResponseOf(result, request.Id);
        }
        catch (Exception e) when (RequestFailure.Is(e))
        {
            throw RequestFailure.ForChatClient(e);
        }
    }

    /// <inheritdoc/>
    /// <inheritdoc cref="GetResponseAsync" path="/exception"/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        var request = RequestOf(messages, options);
        await using var pieces = teacher.StreamAsync(request, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await NextAsync(pieces))
        {
            yield return UpdateOf(pieces.Current, request.Id);
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType.IsInstanceOfType(this) ? this
            : serviceType.IsInstanceOfType(teacher) ? teacher
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : null;
    }

    /// <summary>Does nothing: who made the teacher disposes of it.</summary>
    public void Dispose() { }

    static async ValueTask<bool> NextAsync(IAsyncEnumerator<GenerationPiece> pieces)
    {
        try
        {
            return await pieces.MoveNextAsync();
        }
        catch (Exception e) when (RequestFailure.Is(e))
        {
            throw RequestFailure.ForChatClient(e);
        }
    }

    GenerationRequest RequestOf(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (options?.Tools is { Count: > 0 })
        {
            throw new NotSupportedException("a TraceDistill teacher does not support tools; leave them out of the options");
        }

        if (options?.ModelId is { } model && model != teacher.First.Model)
        {
            throw new NotSupportedException($"this client asks the model {teacher.First.Model}; register another teacher for {model}");
        }

        var turns = messages.Select(message => new ChatTurn(message.Role.Value, TextOf(message)));
        return new GenerationRequest(
            $"chatcmpl-{Guid.NewGuid():N}",
            options?.Instructions is { } instructions ? [new ChatTurn("system", instructions), .. turns] : [.. turns],
            RequestSettings.Of(options, this)
        );
    }

    /// <remarks>Reasoning of earlier turns is left out, as chat templates leave it out.</remarks>
    static string TextOf(ChatMessage message) =>
        message.Contents.FirstOrDefault(content => content is not (TextContent or TextReasoningContent or UsageContent)) is { } other
            ? throw new NotSupportedException($"a TraceDistill teacher accepts text only, and a message holds {other.GetType().Name}")
            : message.Text;

    static ChatResponse ResponseOf(GenerationResult result, string id)
    {
        List<AIContent> contents = [new TextContent(result.Answer)];
        if (result.Reasoning.Length > 0)
        {
            contents.Insert(0, new TextReasoningContent(result.Reasoning));
        }

        return new ChatResponse(new ChatMessage(ChatRole.Assistant, contents) { MessageId = id, RawRepresentation = result })
        {
            ResponseId = id,
            ModelId = result.Model,
            FinishReason = FinishReasonOf(result),
            Usage = ReplyMetadata.UsageOf(result),
            RawRepresentation = result,
            AdditionalProperties = new AdditionalPropertiesDictionary(ReplyMetadata.Of(result)),
        };
    }

    ChatResponseUpdate UpdateOf(GenerationPiece piece, string id)
    {
        var update = new ChatResponseUpdate
        {
            Role = ChatRole.Assistant,
            ResponseId = id,
            MessageId = id,
            ModelId = teacher.First.Model,
        };
        if (piece.Reasoning is not null)
        {
            update.Contents.Add(new TextReasoningContent(piece.Reasoning));
        }

        if (piece.Answer is not null)
        {
            update.Contents.Add(new TextContent(piece.Answer));
        }

        if (piece.Whole is { } result)
        {
            update.Contents.Add(new UsageContent(ReplyMetadata.UsageOf(result)));
            update.ModelId = result.Model ?? update.ModelId;
            update.FinishReason = FinishReasonOf(result);
            update.RawRepresentation = result;
            update.AdditionalProperties = new AdditionalPropertiesDictionary(ReplyMetadata.Of(result));
        }

        return update;
    }

    /// <summary>The framework's word where it has one for what the server said.</summary>
    static ChatFinishReason? FinishReasonOf(GenerationResult result) =>
        result.FinishReason switch
        {
            FinishReasons.Unknown => null,
            _ when result.ToolCalls is not null => ChatFinishReason.ToolCalls,
            var reason when FinishReasons.IsTooLong(reason) => ChatFinishReason.Length,
            var reason when FinishReasons.IsRefusal(reason) => ChatFinishReason.ContentFilter,
            var reason when FinishReasons.Answered.Contains(reason, StringComparer.OrdinalIgnoreCase) => ChatFinishReason.Stop,
            var reason => new ChatFinishReason(reason),
        };
}
