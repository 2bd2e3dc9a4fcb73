using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>Tells what is wrong with a response that cannot be read as JSON.</summary>
static class ResponseJson
{
    /// <param name="json">A response or a piece of one, UTF-8.</param>
    /// <param name="read">Reads it.</param>
    /// <exception cref="WireFormatException">It is no JSON, or what <paramref name="read"/> says.</exception>
    public static T Read<T>(ReadOnlySpan<byte> json, Func<ReadOnlySpan<byte>, T> read)
    {
        try
        {
            return read(json);
        }
        catch (JsonException e)
        {
            throw new TruncatedResponseException($"the response is not JSON{NotFiniteHint(json, e)}", e); // Its own message may repeat the response.
        }
        catch (InvalidOperationException e)
        {
            throw new TruncatedResponseException("the response holds text that is not valid UTF-8", e);
        }
    }

    /// <summary>Python writes NaN and Infinity bare into JSON; saying so beats "'N' is an invalid start of a value".</summary>
    static string NotFiniteHint(ReadOnlySpan<byte> json, JsonException e)
    {
        var line = json;
        for (var skip = e.LineNumber ?? 0; skip > 0; skip--)
        {
            line = line[(line.IndexOf((byte)'\n') + 1)..];
        }

        var at = line[(int)Math.Min(e.BytePositionInLine ?? 0, line.Length)..];
        return at.StartsWith("NaN"u8) || at.StartsWith("Infinity"u8) || at.StartsWith("-Infinity"u8) || at.StartsWith("Inf"u8)
            ? " (a logprob is not a finite number: the server computed no valid probability)"
            : "";
    }
}
