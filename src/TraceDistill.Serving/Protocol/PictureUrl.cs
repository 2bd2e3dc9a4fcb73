using System.Text.Json;

namespace TraceDistill.Serving.Protocol;

/// <summary>A part of a message that is a picture: <c>{"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}}</c>.</summary>
static class PictureUrl
{
    const string Scheme = "data:",
        Encoding = ";base64";

    /// <summary>The bytes of the picture's file.</summary>
    /// <param name="message">Has the part in its content.</param>
    /// <param name="part">The part.</param>
    /// <exception cref="ApiException">It has no data: URL; nothing is fetched for a client.</exception>
    public static byte[] Read(RequestFields message, JsonElement part)
    {
        var value = new RequestFields(part).Find("image_url");
        var url =
            value is { ValueKind: JsonValueKind.Object } map ? new RequestFields(map).Text("url")
            : value is { ValueKind: JsonValueKind.String } text ? text.GetString()
            : null;
        if (url is null || !url.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            throw message.Bad(
                "content",
                "holds a picture that is not a data: URL; this server fetches nothing: send image_url as data:image/png;base64,…"
            );
        }

        var comma = url.IndexOf(',', StringComparison.Ordinal);
        var bytes = new byte[url.Length];
        return
            comma >= 0
            && url.AsSpan(0, comma).EndsWith(Encoding, StringComparison.OrdinalIgnoreCase)
            && Convert.TryFromBase64Chars(url.AsSpan(comma + 1), bytes, out var written)
            ? bytes[..written]
            : throw message.Bad("content", "holds a data: URL that is not base64: data:image/png;base64,…");
    }
}
