using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace TraceDistill.Serving.Protocol;

/// <summary>The JSON of a request.</summary>
static class RequestBody
{
    /// <exception cref="JsonException">It is none.</exception>
    /// <exception cref="ApiException">400: a string in it is not Unicode.</exception>
    public static async Task<JsonDocument> ReadAsync(HttpContext context)
    {
        var document = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        try
        {
            ReadStrings(document.RootElement);
            return document;
        }
        catch (InvalidOperationException)
        {
            document.Dispose();
            throw new ApiException(400, "the request holds text that is not Unicode: half a surrogate pair, or bytes that are not UTF-8", "invalid_json");
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
