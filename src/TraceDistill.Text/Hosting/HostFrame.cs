using System.Buffers.Binary;

namespace TraceDistill.Text.Hosting;

/// <summary>
/// Batches on the pipes between the program and its tokenizer host: a number of items, then each
/// item as two bytes (what it is), its length and its content. Numbers are 32 bits, little-endian.
/// </summary>
static class HostFrame
{
    public static void Write(Stream stream, IReadOnlyCollection<HostRequest> requests) =>
        Write(stream, requests.Select(request => ((byte)request.Operation, (byte)request.Form, request.Content)), requests.Count);

    public static void Write(Stream stream, IReadOnlyCollection<HostReply> replies) =>
        Write(stream, replies.Select(reply => ((byte)(reply.IsRefused ? 1 : 0), (byte)0, reply.Content)), replies.Count);

    /// <returns>Null at the end of the stream.</returns>
    public static HostRequest[]? ReadRequests(Stream stream) =>
        Read(stream)?.Select(item => new HostRequest((HostOperation)item.First, (TokenizerForm)item.Second, item.Content)).ToArray();

    /// <returns>Null at the end of the stream.</returns>
    public static HostReply[]? ReadReplies(Stream stream) =>
        Read(stream)?.Select(item => new HostReply(item.First != 0, item.Content)).ToArray();

    public static byte[] OfIds(ReadOnlySpan<int> ids)
    {
        var bytes = new byte[ids.Length * sizeof(int)];
        for (var i = 0; i < ids.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * sizeof(int)), ids[i]);
        }

        return bytes;
    }

    public static int[] ToIds(ReadOnlySpan<byte> bytes)
    {
        var ids = new int[bytes.Length / sizeof(int)];
        for (var i = 0; i < ids.Length; i++)
        {
            ids[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(i * sizeof(int))..]);
        }

        return ids;
    }

    static void Write(Stream stream, IEnumerable<(byte First, byte Second, byte[] Content)> items, int count)
    {
        // One write a batch: each wakes the other side up.
        using var buffer = new MemoryStream();
        Span<byte> head = stackalloc byte[6];
        BinaryPrimitives.WriteInt32LittleEndian(head, count);
        buffer.Write(head[..4]);
        foreach (var (first, second, content) in items)
        {
            (head[0], head[1]) = (first, second);
            BinaryPrimitives.WriteInt32LittleEndian(head[2..], content.Length);
            buffer.Write(head);
            buffer.Write(content);
        }

        stream.Write(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
        stream.Flush();
    }

    static (byte First, byte Second, byte[] Content)[]? Read(Stream stream)
    {
        Span<byte> head = stackalloc byte[6];
        if (stream.ReadAtLeast(head[..4], 4, throwOnEndOfStream: false) < 4)
        {
            return null;
        }

        var items = new (byte, byte, byte[])[BinaryPrimitives.ReadInt32LittleEndian(head)];
        foreach (ref var item in items.AsSpan())
        {
            stream.ReadExactly(head);
            var content = new byte[BinaryPrimitives.ReadInt32LittleEndian(head[2..])];
            stream.ReadExactly(content);
            item = (head[0], head[1], content);
        }

        return items;
    }
}
