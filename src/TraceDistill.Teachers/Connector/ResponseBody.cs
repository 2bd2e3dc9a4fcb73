using System.Buffers;

namespace TraceDistill.Teachers.Connector;

/// <summary>A response body in a pooled buffer: tens of megabytes for a long trace, so not a new array for each.</summary>
sealed class ResponseBody : IDisposable
{
    const int FirstCapacity = 64 * 1024;

    /// <summary>A server's word about the length is good for so much; further memory is taken as the bytes come.</summary>
    const int MostByPromise = 16 << 20;

    byte[] _buffer;
    int _length;

    ResponseBody(int capacity) => _buffer = ArrayPool<byte>.Shared.Rent(capacity);

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    /// <param name="content">What the server sends.</param>
    /// <param name="most">Bytes it may have, compression undone.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="ResponseTooLargeException">It has more.</exception>
    /// <exception cref="InvalidDataException">Its compression is broken.</exception>
    public static async Task<ResponseBody> ReadAsync(HttpContent content, long most, CancellationToken cancellationToken)
    {
        if (content.Headers.ContentLength > most)
        {
            throw new ResponseTooLargeException(most);
        }

        var body = new ResponseBody((int)Math.Clamp(content.Headers.ContentLength ?? 0, FirstCapacity, MostByPromise));
        try
        {
            await using var stream = await CompressedContent.ReadAsync(content, cancellationToken);
            while (await stream.ReadAsync(body._buffer.AsMemory(body._length), cancellationToken) is > 0 and var read)
            {
                body._length += read;
                if (body._length > most)
                {
                    throw new ResponseTooLargeException(most);
                }

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
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(_buffer.Length * 2L, Array.MaxLength));
        Bytes.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
