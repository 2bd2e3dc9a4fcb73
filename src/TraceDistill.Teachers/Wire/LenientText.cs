using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// Reads JSON strings with half a surrogate pair in them, as servers write that cut text
/// between the two: the other half may come in the next piece.
/// </summary>
static class LenientText
{
    const char Replacement = '\uFFFD';

    /// <summary>The string at the reader; a half stays one.</summary>
    /// <exception cref="InvalidOperationException">Its bytes are no UTF-8.</exception>
    public static string Read(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException) when (Utf8.IsValid(reader.ValueSpan))
        {
            return Unescape(reader.ValueSpan);
        }
    }

    /// <summary>The whole text: halves that met are characters, the others U+FFFD.</summary>
    public static string Whole(StringBuilder pieces)
    {
        for (var i = 0; i < pieces.Length; i++)
        {
            if (char.IsHighSurrogate(pieces[i]) && i + 1 < pieces.Length && char.IsLowSurrogate(pieces[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(pieces[i]))
            {
                pieces[i] = Replacement;
            }
        }

        return pieces.ToString();
    }

    /// <param name="escaped">The inside of a JSON string that a reader has found to be one.</param>
    static string Unescape(ReadOnlySpan<byte> escaped)
    {
        var text = new StringBuilder(escaped.Length);
        while (escaped.IndexOf((byte)'\\') is >= 0 and var at)
        {
            text.Append(Encoding.UTF8.GetString(escaped[..at]));
            var isUnit = escaped[at + 1] == 'u';
            text.Append(
                (char)escaped[at + 1] switch
                {
                    'u' when Utf8Parser.TryParse(escaped.Slice(at + 2, 4), out ushort unit, out _, 'X') => (char)unit,
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\b',
                    'f' => '\f',
                    var itself => itself,
                }
            );
            escaped = escaped[(at + (isUnit ? 6 : 2))..];
        }

        return text.Append(Encoding.UTF8.GetString(escaped)).ToString();
    }
}
