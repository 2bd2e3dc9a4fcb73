using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Hosting;

/// <summary>The JSON of a request; its memory counts against the server's <see cref="BodyBudget"/> until this is disposed of.</summary>
sealed class RequestBody : IDisposable
{
    readonly JsonDocument _document;
    readonly BodyBudget.Share _share;

    RequestBody(JsonDocument document, BodyBudget.Share share) => (_document, _share) = (document, share);

    public JsonElement Root => _document.RootElement;

    /// <exception cref="JsonException">It is none.</exception>
    /// <exception cref="ApiException">
    /// 400: a string in it is not Unicode; 413: it is too large; 429: there is no room for it now.
    /// </exception>
    public static async Task<RequestBody> ReadAsync(HttpContext context, BodyBudget budget)
    {
        var share = budget.Open();
        try
        {
            return new RequestBody(await ParseAsync(context, share), share);
        }
        catch
        {
            share.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _document.Dispose();
        _share.Dispose();
    }

    static async Task<JsonDocument> ParseAsync(HttpContext context, BodyBudget.Share share)
    {
        share.Announce(context.Request.ContentLength);
        using var bytes = new MemoryStream();
        var chunk = new byte[1 << 14];
        for (int read; (read = await context.Request.Body.ReadAsync(chunk, context.RequestAborted)) > 0; )
        {
            share.Take(read);
            bytes.Write(chunk, 0, read);
        }

        var document = JsonDocument.Parse(new ReadOnlyMemory<byte>(bytes.GetBuffer(), 0, (int)bytes.Length));
        try
        {
            ReadStrings(document.RootElement);
            return document;
        }
        catch (InvalidOperationException)
        {
            document.Dispose();
            throw new ApiException(
                400,
                "the request holds text that is not Unicode: half a surrogate pair, or bytes that are not UTF-8",
                "invalid_json"
            );
        }
    }

    /// <summary>A document looks at a string's characters only when asked for it, which would otherwise be anywhere.</summary>
    static void ReadStrings(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                _ = value.GetString();
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    ReadStrings(item);
                }

                break;
            case JsonValueKind.Object:
                foreach (var field in value.EnumerateObject())
                {
                    _ = field.Name;
                    ReadStrings(field.Value);
                }

                break;
        }
    }
}
