using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace TraceDistill.Serving.Protocol;

/// <summary>A JSON response written straight into the connection's pipe, handed on in pieces so that large ones take no memory.</summary>
sealed class JsonBody : IAsyncDisposable
{
    const int FlushAt = 32 << 10;

    readonly HttpContext _context;
    long _flushed;

    public JsonBody(HttpContext context)
    {
        _context = context;
        context.Response.ContentType = "application/json";
        Json = new Utf8JsonWriter(context.Response.BodyWriter, Options);
    }

    /// <summary>Our own structure is right by construction, and &lt;think&gt; is to stay readable.</summary>
    public static JsonWriterOptions Options { get; } =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public Utf8JsonWriter Json { get; }

    /// <summary>Hands on what has been written, once it is a piece worth sending.</summary>
    public async ValueTask FlushIfLargeAsync()
    {
        // Pending are only bytes since the writer last asked for memory: a few kilobytes at most.
        if (Json.BytesCommitted + Json.BytesPending - _flushed > FlushAt)
        {
            await Json.FlushAsync();
            _flushed = Json.BytesCommitted;
            await _context.Response.BodyWriter.FlushAsync(_context.RequestAborted);
        }
    }

    public async ValueTask DisposeAsync() => await Json.DisposeAsync();
}
