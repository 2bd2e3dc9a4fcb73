using System.Net.ServerSentEvents;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads a streamed chat completion of one choice: server-sent events, each a piece of it, straight into columns.</summary>
static class CompletionStream
{
    /// <param name="stream">The body of the response.</param>
    /// <param name="topLogprobs">Alternatives asked for.</param>
    /// <param name="form">Known facts about the form of the server's responses.</param>
    /// <param name="told">Notified of the text as it comes; null for none.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="ReportedErrorException">The server says that it failed.</exception>
    /// <exception cref="WireFormatException">The stream ends too early, or its pieces do not make a generation.</exception>
    public static async Task<GenerationResult> ReadAsync(
        Stream stream,
        int topLogprobs,
        ReplyForm form,
        Action<StreamedText>? told,
        CancellationToken cancellationToken
    )
    {
        var (parts, end) = (new CompletionParts(topLogprobs), new StreamEnd());
        var events = SseParser.Create(stream, (_, data) =>
            data.SequenceEqual("[DONE]"u8) ? (StreamedText?)null : ReadPiece(data, parts, end)
        );
        await foreach (var one in events.EnumerateAsync(cancellationToken))
        {
            if (one.Data is not { } text)
            {
                end.IsDone = true;
                break;
            }

            if (text != default)
            {
                told?.Invoke(text);
            }
        }

        if (end.Error is { } error && (parts.FinishReason is null || !parts.HasChoice))
        {
            throw new ReportedErrorException(error);
        }

        // A server that says that it is done has only left out why, as in an answer that comes as a whole; one that says neither broke off.
        return parts.FinishReason is null && !end.IsDone ? throw new WireFormatException("the stream ended without a finish_reason")
            : end is { IsInEveryPiece: true, Pieces: > 1, IsDone: false } ? throw new WireFormatException("the stream ended early")
            : parts.ToResult(form);
    }

    static StreamedText ReadPiece(ReadOnlySpan<byte> data, CompletionParts parts, StreamEnd end)
    {
        // Some gateways keep a connection alive with events that say nothing.
        if (data.Trim(" \t\r\n"u8).IsEmpty)
        {
            return default;
        }

        var (before, extent, hadChoice) = (parts.FinishReason, parts.Extent, parts.HasChoice);
        (parts.FinishReason, parts.HasChoice) = (null, false);
        var text = CompletionReader.ReadPiece(data, parts);
        end.Error = parts.HasChoice ? end.Error : ErrorBody.InPlaceOfChoices(data) ?? end.Error;
        parts.HasChoice |= hadChoice;
        var isEnd = parts.FinishReason is not null;
        parts.FinishReason ??= before;
        if (parts.Extent > extent)
        {
            // Where each piece so far came with a finish reason, it is no sign of the end: [DONE] is.
            end.IsInEveryPiece = isEnd && (end.Pieces == 0 || end.IsInEveryPiece);
            end.Pieces++;
            return before is not null && !end.IsInEveryPiece
                ? throw new WireFormatException("a piece of the answer came after its end")
                : text;
        }

        return text;
    }

    /// <summary>State of a stream: what its pieces so far show of how this server ends its streams.</summary>
    sealed class StreamEnd
    {
        /// <summary>Those with text or tokens.</summary>
        public int Pieces { get; set; }

        public bool IsInEveryPiece { get; set; }

        public bool IsDone { get; set; }

        /// <summary>Error that a piece without choices told in their place; null where none did.</summary>
        public ErrorBody? Error { get; set; }
    }
}
