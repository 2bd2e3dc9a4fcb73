using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace TraceDistill.Serving.Model;

/// <summary>
/// The start of every token's logprob entry, <c>{"id":5,"token":" a","bytes":[32,97],"logprob":</c>,
/// written once: at twenty alternatives a token, escaping strings would be most of the server's work.
/// </summary>
sealed class TokenFragments
{
    readonly byte[] _all;
    readonly int[] _starts;

    public TokenFragments(int vocabulary, Func<int, string> text, TokenBytes bytes)
    {
        var buffer = new ArrayBufferWriter<byte>(vocabulary * 64);
        _starts = new int[vocabulary + 1];
        using var json = new Utf8JsonWriter(
            buffer,
            new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true }
        );
        for (var id = 0; id < vocabulary; id++)
        {
            json.WriteStartObject();
            json.WriteNumber("id", id);
            json.WriteString("token", text(id));
            json.WriteStartArray("bytes");
            foreach (var value in bytes(id))
            {
                json.WriteNumberValue(value);
            }

            json.WriteEndArray();
            json.WritePropertyName("logprob");
            json.Flush();
            json.Reset();
            _starts[id + 1] = buffer.WrittenCount;
        }

        _all = buffer.WrittenSpan.ToArray();
    }

    public delegate ReadOnlySpan<byte> TokenBytes(int id);

    /// <summary>Up to and including <c>"logprob":</c>.</summary>
    public ReadOnlySpan<byte> Of(int id) => _all.AsSpan(_starts[id].._starts[id + 1]);
}
