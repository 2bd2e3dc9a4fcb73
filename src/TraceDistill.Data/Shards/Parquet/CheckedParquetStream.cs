using Microsoft.Win32.SafeHandles;

namespace TraceDistill.Data.Shards.Parquet;

/// <summary>
/// A Parquet file as Parquet.Net may read it. Parquet.Net reads page headers byte by byte and
/// everything else in blocks: before it comes to a header, the header is checked.
/// </summary>
sealed class CheckedParquetStream(FileStream file) : Stream
{
    const int HeaderBytes = 1 << 12;

    /// <summary>
    /// The largest page: room is made for it before its first byte is decompressed. Writers end pages at a megabyte, some at a row group.
    /// </summary>
    const int MostPageBytes = 512 << 20;

    /// <summary>Headers hold the least and greatest value of a page, which may be long texts.</summary>
    const int Growth = 16;

    long _checkedTo = -1;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => file.Length;

    public override long Position
    {
        get => file.Position;
        set => Seek(value, SeekOrigin.Begin);
    }

    /// <exception cref="InvalidDataException">No page header stands here.</exception>
    public override int ReadByte()
    {
        if (file.Position >= _checkedTo)
        {
            _checkedTo = CheckHeader(file.SafeFileHandle, file.Position, file.Length);
        }

        return file.ReadByte();
    }

    public override long Seek(long offset, SeekOrigin origin)
    {
        _checkedTo = -1;
        return file.Seek(offset, origin);
    }

    public override int Read(byte[] buffer, int offset, int count) => file.Read(buffer, offset, count);

    public override int Read(Span<byte> buffer) => file.Read(buffer);

    public override async Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        await ReadAsync(buffer.AsMemory(offset, count), cancellationToken);

    /// <remarks>
    /// Ends before it returns: a file on disk would be read on a thread of the pool, and who
    /// reads ahead of a training has threads of its own while the pool's are taken.
    /// </remarks>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(file.Read(buffer.Span));
    }

    public override void Flush() { }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            file.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <returns>Where the header ends.</returns>
    static long CheckHeader(SafeFileHandle handle, long start, long fileLength)
    {
        for (var size = (long)HeaderBytes; ; size *= Growth)
        {
            var bytes = new byte[Math.Min(size, Math.Max(0, fileLength - start))];
            var read = RandomAccess.Read(handle, bytes, start);
            var check = new ThriftCheck(bytes.AsSpan(0, read));
            try
            {
                check.Struct(ParquetStructures.PageHeader);
            }
            catch (EndOfStreamException) when (size < fileLength - start)
            {
                continue;
            }

            var (end, uncompressed, compressed) = (start + check.Length, check.Numbers[2], check.Numbers[3]);
            return uncompressed is >= 0 and <= MostPageBytes && compressed >= 0 && compressed <= fileLength - end
                ? end
                : throw new InvalidDataException(
                    $"a page of {compressed} bytes that decompress to {uncompressed}, at byte {start} of {fileLength}"
                );
        }
    }
}
