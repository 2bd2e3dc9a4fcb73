using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace TraceDistill.Cli.Progress;

/// <summary>Writes scalars to a TensorBoard event file, to be looked at with <c>tensorboard --logdir</c>.</summary>
/// <remarks>
/// The file is a sequence of TFRecords: length (u64), masked CRC-32C of the length, data, masked CRC-32C of the data, all little-endian.
/// Data is an <c>Event</c> protocol buffer: wall_time = 1 (double), step = 2 (varint), file_version = 3 (string), summary = 5 with value =
/// 1 of tag = 1 (string) and simple_value = 2 (float). Sources: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto.
/// </remarks>
sealed class TensorBoardWriter : IDisposable
{
    readonly FileStream _stream;
    readonly TimeProvider _timeProvider;

    /// <param name="folder">
    /// Made where it is absent. Each writer adds a file of its own, as TensorBoard expects of a job that goes on.
    /// </param>
    public TensorBoardWriter(string folder, TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        Directory.CreateDirectory(folder);
        var now = timeProvider.GetUtcNow();
        _stream = new FileStream(
            Path.Combine(folder, $"events.out.tfevents.{now.ToUnixTimeMilliseconds()}.{Environment.ProcessId}.v2"),
            FileMode.CreateNew,
            FileAccess.Write,
            FileShare.Read
        );
        WriteRecord([.. WallTime(), .. Field(3, "brain.Event:2"u8)]);
    }

    public void Write(long step, IReadOnlyDictionary<string, double> values)
    {
        var summary = values.SelectMany(pair => Field(1, [.. Field(1, Encoding.UTF8.GetBytes(pair.Key)), .. Float(2, (float)pair.Value)]));
        WriteRecord([.. WallTime(), Key(2, wireType: 0), .. Varint((ulong)step), .. Field(5, [.. summary])]);
        _stream.Flush();
    }

    public void Dispose() => _stream.Dispose();

    void WriteRecord(ReadOnlySpan<byte> data)
    {
        Span<byte> header = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], MaskedCrc(header[..8]));
        Span<byte> footer = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(footer, MaskedCrc(data));
        _stream.Write(header);
        _stream.Write(data);
        _stream.Write(footer);
    }

    static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8;
    }

    byte[] WallTime()
    {
        var bytes = new byte[9];
        bytes[0] = Key(1, wireType: 1);
        BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(1), _timeProvider.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0);
        return bytes;
    }

    static byte[] Float(int field, float value)
    {
        var bytes = new byte[5];
        bytes[0] = Key(field, wireType: 5);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(1), value);
        return bytes;
    }

    static byte[] Field(int field, ReadOnlySpan<byte> content) => [Key(field, wireType: 2), .. Varint((ulong)content.Length), .. content];

    static byte Key(int field, int wireType) => (byte)(field << 3 | wireType);

    static List<byte> Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return bytes;
    }
}
