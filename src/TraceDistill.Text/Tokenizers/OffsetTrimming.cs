using System.Text;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Leaves the white space around words out of their offsets, as the post-processors of byte-level tokenizers do if told so.
/// </summary>
/// <param name="KeepsFirstSpace">True where a single space at the very start stays: the pre-tokenizer may have put it there.</param>
sealed record OffsetTrimming(bool KeepsFirstSpace)
{
    /// <param name="offset">Offsets reported for a token.</param>
    /// <param name="token">The bytes it stands for.</param>
    /// <param name="isAdded">True where it is an added token, in which any white space counts.</param>
    /// <param name="isFirst">True where no token stands before it.</param>
    public TextSpan Trim(TextSpan offset, ReadOnlySpan<byte> token, bool isAdded, bool isFirst)
    {
        var text = isAdded ? Encoding.UTF8.GetString(token) : Encoding.Latin1.GetString(token);
        var leading = text.TakeWhile(IsSpace).Count();
        var trailing = text.Reverse().TakeWhile(IsSpace).Count();
        if (leading == 1 && KeepsFirstSpace && (isFirst || offset.Start == 0))
        {
            leading = 0;
        }
        var start = Math.Min(offset.Start + leading, offset.End);
        return new TextSpan(start, trailing > 0 && offset.End >= trailing ? Math.Max(offset.End - trailing, start) : offset.End);

        bool IsSpace(char character) => character == ' ' || (isAdded && (character == 'Ġ' || char.IsWhiteSpace(character)));
    }
}
