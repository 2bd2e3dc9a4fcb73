using System.Buffers;

namespace TraceDistill.Teachers.Connector;

/// <summary>A response body in a pooled buffer: tens of megabytes for a long trace, so not a new array for each.</summary>
sealed class ResponseBody : IDisposable
{
    byte[] _buffer;
    int _length;

    ResponseBody(int capacity) => _buffer = ArrayPool<byte>.Shared.Rent(capacity);

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    public static async Task<ResponseBody> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var body = new ResponseBody((int)Math.Clamp(content.Headers.ContentLength ?? 0, 64 * 1024, Array.MaxLength));
        try
        {
            await using var stream = await content.ReadAsStreamAsync(cancellationToken);
            while (await stream.ReadAsync(body._buffer.AsMemory(body._length), cancellationToken) is > 0 and var read)
            {
                body._length += read;
                if (body._length == body._buffer.Length)
                {
                    body.Grow();
                }
            }

            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _length = 0;
    }

    void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(checked(_buffer.Length * 2));
        Bytes.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
