using System.Buffers;

namespace TraceDistill.Teachers.Connector;

/// <summary>A response body in a pooled buffer: tens of megabytes for a long trace, so not a new array for each.</summary>
/// <remarks>
/// Bodies of more than 64 KiB take their memory from a <see cref="BodyBudget"/> until the end of
/// their use: thousands of requests may be answered at once. Who finds none left waits in its
/// connection, which holds the server back. A body that stalls holds no more than it has received.
/// </remarks>
sealed class ResponseBody : IDisposable
{
    const int FirstCapacity = 16 * 1024;

    /// <summary>Bytes of a body that is small enough not to be counted.</summary>
    const int MostUncounted = 1 << 16;

    /// <summary>A server's word about the length is good for so much; further memory is taken as the bytes come.</summary>
    const int MostByPromise = 16 << 20;

    byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstCapacity);
    int _length;
    int _counted;

    ResponseBody() { }

    /// <summary>All of it but a byte order mark, which JSON does not know.</summary>
    public ReadOnlySpan<byte> Bytes =>
        _buffer.AsSpan(0, _length) is var all && all.StartsWith(ByteOrderMark) ? all[ByteOrderMark.Length..] : all;

    static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <param name="content">Content that the server sends.</param>
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

        var body = new ResponseBody();
        try
        {
            if (content.Headers.ContentLength > body._buffer.Length)
            {
                await body.GrowAsync((int)Math.Min(content.Headers.ContentLength.Value + 1, MostByPromise), cancellationToken);
            }

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
                    await body.GrowAsync((int)Math.Min(body._length * 2L, Array.MaxLength), cancellationToken);
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
        if (_counted > 0)
        {
            BodyBudget.Shared.Return(this, _counted);
            _counted = 0;
        }
    }

    async ValueTask GrowAsync(int capacity, CancellationToken cancellationToken)
    {
        if (capacity > MostUncounted)
        {
            await BodyBudget.Shared.TakeAsync(this, _counted > 0, capacity - _counted, cancellationToken);
            _counted = capacity;
        }

        var larger = ArrayPool<byte>.Shared.Rent(capacity);
        _buffer.AsSpan(0, _length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
