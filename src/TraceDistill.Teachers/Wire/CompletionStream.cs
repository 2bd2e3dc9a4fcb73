using System.Net.ServerSentEvents;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads a streamed chat completion of one choice: server-sent events, each a piece of it, straight into columns.</summary>
static class CompletionStream
{
    /// <param name="stream">The body of the response.</param>
    /// <param name="topLogprobs">Alternatives asked for.</param>
    /// <param name="form">What is known of the server's responses beforehand.</param>
    /// <param name="told">Told of the text as it comes; null for nobody.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="StreamedErrorException">The server says that it failed.</exception>
    /// <exception cref="WireFormatException">The stream ends too early, or its pieces do not make a generation.</exception>
    public static async Task<GenerationResult> ReadAsync(Stream stream, int topLogprobs, ReplyForm form, Action<StreamedText>? told, CancellationToken cancellationToken)
    {
        var parts = new CompletionParts(topLogprobs);
        var events = SseParser.Create(stream, (_, data) => data.SequenceEqual("[DONE]"u8) ? (StreamedText?)null : ReadPiece(data, parts));
        await foreach (var one in events.EnumerateAsync(cancellationToken))
        {
            if (one.Data is not { } text)
            {
                break;
            }

            if (text != default)
            {
                told?.Invoke(text);
            }
        }

        return parts.FinishReason is null
            ? throw new TruncatedResponseException("the stream ended without a finish_reason")
            : parts.ToResult(form);
    }

    static StreamedText ReadPiece(ReadOnlySpan<byte> data, CompletionParts parts)
    {
        var (isFinished, extent) = (parts.FinishReason is not null, parts.Extent);
        var text = CompletionReader.ReadPiece(data, parts);
        return isFinished && parts.Extent > extent
            ? throw new TruncatedResponseException("a piece of the answer came after its end")
            : text;
    }
}
