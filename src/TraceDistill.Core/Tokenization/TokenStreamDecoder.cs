using System.Text;

namespace TraceDistill.Core.Tokenization;

/// <summary>Decodes tokens as they arrive, holding back the bytes of a character that is not complete yet. For one sequence, one thread.</summary>
/// <remarks>All the text handed out, the last piece from <see cref="Finish"/> included, is what <see cref="Tokenizer.Decode"/> gives for all the ids.</remarks>
/// <param name="tokenizer">Whose ids these are.</param>
/// <param name="skipSpecialTokens">Whether special tokens are left out of the text.</param>
public sealed class TokenStreamDecoder(Tokenizer tokenizer, bool skipSpecialTokens = false)
{
    readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>Takes the next token.</summary>
    /// <returns>The text that is certain now; empty while a character is incomplete.</returns>
    public string Append(int id) =>
        skipSpecialTokens && tokenizer.IsSpecial(id) ? "" : Convert(tokenizer.GetBytes(id), flush: false);

    /// <summary>Ends the sequence.</summary>
    /// <returns>U+FFFD for bytes that never became a character; empty when there are none.</returns>
    public string Finish() => Convert([], flush: true);

    string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        var chars = new char[_decoder.GetCharCount(bytes, flush)];
        return new string(chars, 0, _decoder.GetChars(bytes, chars, flush));
    }
}
