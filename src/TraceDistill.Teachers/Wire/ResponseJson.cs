using System.Buffers;
using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>Tells what is wrong with a response that cannot be read as JSON.</summary>
static class ResponseJson
{
    /// <summary>Words that Python writes into JSON where it has no number, which JSON cannot hold.</summary>
    static readonly byte[][] NotFinite = ["NaN"u8.ToArray(), "-Infinity"u8.ToArray(), "Infinity"u8.ToArray()];

    /// <param name="json">A response or a piece of one, UTF-8.</param>
    /// <param name="read">Reads it.</param>
    /// <exception cref="WireFormatException">It is no JSON, or what <paramref name="read"/> says.</exception>
    public static T Read<T>(ReadOnlySpan<byte> json, Func<ReadOnlySpan<byte>, T> read)
    {
        if (TryQuoteNotFinite(json, out var quoted))
        {
            json = quoted;
        }

        try
        {
            return read(json);
        }
        catch (JsonException e)
        {
            throw new WireFormatException("the response is not JSON", e); // Its own message may repeat the response.
        }
        catch (InvalidOperationException e)
        {
            throw new WireFormatException("the response holds text that is not valid UTF-8", e);
        }
    }

    /// <summary>
    /// Gives the same JSON with every number that is none as a text, so that it costs what it stands for and not the response.
    /// </summary>
    /// <returns>False where there is none outside of texts.</returns>
    static bool TryQuoteNotFinite(ReadOnlySpan<byte> json, out byte[] quoted)
    {
        quoted = [];
        if (json.IndexOf("NaN"u8) < 0 && json.IndexOf("Infinity"u8) < 0)
        {
            return false;
        }

        var buffer = new ArrayBufferWriter<byte>(json.Length + 64);
        var (isText, copied) = (false, 0);
        for (var i = 0; i < json.Length; i++)
        {
            if (isText)
            {
                isText = json[i] != '"';
                i += json[i] == '\\' ? 1 : 0;
            }
            else if (json[i] == '"')
            {
                isText = true;
            }
            else if (json[i] is (byte)'N' or (byte)'I' or (byte)'-' && NumberAt(json[i..]) is { } name)
            {
                buffer.Write(json[copied..i]);
                buffer.Write("\""u8);
                buffer.Write(name);
                buffer.Write("\""u8);
                i += name.Length - 1;
                copied = i + 1;
            }
        }

        buffer.Write(json[copied..]);
        quoted = copied == 0 ? [] : buffer.WrittenSpan.ToArray();
        return copied > 0;
    }

    static byte[]? NumberAt(ReadOnlySpan<byte> json)
    {
        foreach (var name in NotFinite)
        {
            if (json.StartsWith(name))
            {
                return name;
            }
        }

        return null;
    }
}
