using System.IO.Compression;
using System.Net.Http.Headers;

namespace TraceDistill.Teachers.Connector;

/// <summary>Compressed responses. Logprobs as JSON shrink to a tenth.</summary>
static class CompressedContent
{
    static readonly StringWithQualityHeaderValue[] Known = [new("gzip"), new("br")];

    /// <summary>
    /// Says that a compressed response is welcome; not to a server on this machine, where it would only cost both sides time.
    /// </summary>
    public static void Offer(HttpRequestMessage request)
    {
        foreach (var encoding in request.RequestUri!.IsLoopback ? [] : Known)
        {
            request.Headers.AcceptEncoding.Add(encoding);
        }
    }

    /// <summary>The content with its compression, if it has one, undone as it is read.</summary>
    public static async Task<Stream> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var stream = await content.ReadAsStreamAsync(cancellationToken);
        return content.Headers.ContentEncoding.LastOrDefault()?.ToLowerInvariant() switch
        {
            "gzip" or "x-gzip" => new GZipStream(stream, CompressionMode.Decompress),
            "br" => new BrotliStream(stream, CompressionMode.Decompress),
            _ => stream,
        };
    }

    /// <summary>Returns whether reading failed because the compression is broken.</summary>
    /// <remarks>BrotliStream says so with an exception that stands for mistakes of a program elsewhere.</remarks>
    public static bool IsFault(Exception failure) =>
        failure is InvalidDataException
        || (failure is InvalidOperationException && failure.Source == typeof(BrotliStream).Assembly.GetName().Name);
}
