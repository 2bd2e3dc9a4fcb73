using System.Buffers.Text;
using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// One token with its logprob as the wire has it: an entry of <c>logprobs.content</c> or of an entry's <c>top_logprobs</c>.
/// </summary>
/// <remarks>
/// Ids come as a number in <c>id</c> (this project's server, llama.cpp) or within the spelling <c>token_id:N</c> (vLLM). Bytes are only
/// located here and read later, for an id makes them superfluous and, in vLLM's spelling, meaningless.
/// </remarks>
struct LogprobEntry
{
    public int? Id;
    public float Logprob;
    public bool HasLogprob;

    /// <summary>Why the logprob is none; null where it is one. With a number it is impossible, without one it is not known.</summary>
    public string? Problem;

    /// <summary>Where the array of bytes starts in the response; zero where there is none.</summary>
    public int BytesStart;

    public readonly bool HasBytes => BytesStart > 0;

    static ReadOnlySpan<byte> IdSpelling => "token_id:"u8;

    /// <summary>Reads the member at the reader if it is one of an entry's own; false, with nothing consumed, if it is not.</summary>
    public bool TryReadMember(ref Utf8JsonReader reader)
    {
        if (reader.ValueTextEquals("logprob"u8))
        {
            reader.Read();
            (HasLogprob, Logprob, Problem) = ReadLogprob(ref reader);
        }
        else if (reader.ValueTextEquals("token"u8))
        {
            reader.Read();
            if (
                reader.TokenType == JsonTokenType.String
                && reader.ValueSpan.StartsWith(IdSpelling)
                && Utf8Parser.TryParse(reader.ValueSpan[IdSpelling.Length..], out int id, out var used)
                && used == reader.ValueSpan.Length - IdSpelling.Length
            )
            {
                Id ??= id;
            }
        }
        else if (reader.ValueTextEquals("bytes"u8))
        {
            reader.Read();
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                BytesStart = (int)reader.TokenStartIndex;
                reader.Skip();
            }
        }
        else if (reader.ValueTextEquals("id"u8))
        {
            Id = reader.IntegerValue("logprobs.content[].id") ?? Id;
        }
        else
        {
            return false;
        }

        return true;
    }

    /// <summary>The number at the reader, where it is one, and what is wrong with it.</summary>
    public static (bool HasLogprob, float Logprob, string? Problem) ReadLogprob(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.Number)
        {
            // Softmax in low precision may end a hair above zero; anything more is no logprob.
            var value = reader.GetSingle();
            return (
                true,
                Math.Min(value, 0f),
                value <= 1e-3f ? null : $"returned a logprob of {value}, and a log-probability is never above 0"
            );
        }

        const int LongestShown = 20;
        var found =
            reader.TokenType == JsonTokenType.String
                ? reader.GetString() is { Length: <= LongestShown } text && text.All(c => c is >= ' ' and <= '~')
                    ? $"\"{text}\""
                    : "a string"
                : reader.TokenType == JsonTokenType.Null
                    ? "null"
                    : "not a number";
        reader.Skip();
        return (false, 0, $"returned {found} for the logprob of a token: the server computed no valid probability");
    }
}
