using System.Text;
using System.Threading.Channels;
using TraceDistill.Data.Generation;
using TraceDistill.Inference.Sequences;
using TraceDistill.Serving.Model;

namespace TraceDistill.Serving.Responses;

/// <summary>
/// Turns a choice's tokens into events as they are drawn, holding back what may become a stop string or is half a character.
/// </summary>
/// <param name="prompt">The prompt's text, to be sent where the engine scores it.</param>
sealed class StreamedChoice(int index, string prompt, GeneratedText text, ChannelWriter<StreamedToken> events) : ITokenSink
{
    readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    int _decoded;

    public void AppendPrompt(TokenLogprobs logprobs) => events.TryWrite(new StreamedToken(index, prompt, logprobs, null, IsPrompt: true));

    public bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        var goesOn = text.Append(token, logprob, topIds, topLogprobs);
        var row = new TokenLogprobs
        {
            K = topIds.Length,
            TokenIds = [token],
            Logprobs = [logprob],
            TopIds = [.. topIds],
            TopLogprobs = [.. topLogprobs],
        };
        events.TryWrite(new StreamedToken(index, Decode(text.CertainLength, flush: false), row, null));
        return goesOn;
    }

    /// <summary>The last event: what was held back, and why the choice ended.</summary>
    public void Finish(string reason) => events.TryWrite(new StreamedToken(index, Decode(text.Length, flush: true), null, reason));

    string Decode(int end, bool flush)
    {
        var bytes = text.Bytes[_decoded..end];
        _decoded = end;
        var characters = new char[_decoder.GetCharCount(bytes, flush)];
        return new string(characters, 0, _decoder.GetChars(bytes, characters, flush));
    }
}
