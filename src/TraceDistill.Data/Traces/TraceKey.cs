using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace TraceDistill.Data.Traces;

/// <summary>A trace's id in 16 bytes: what a run holds of each of a million traces.</summary>
/// <param name="High">The first eight bytes, most significant first.</param>
/// <param name="Low">The last eight bytes.</param>
public readonly record struct TraceKey(ulong High, ulong Low) : IComparable<TraceKey>
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 16;

    /// <summary>The key of an id as <see cref="TraceId"/> makes them; any other id is hashed.</summary>
    public static TraceKey Of(ReadOnlySpan<char> id)
    {
        if (
            id.Length == 2 * Size
            && ulong.TryParse(id[..Size], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var high)
            && ulong.TryParse(id[Size..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var low)
        )
        {
            return new TraceKey(high, low);
        }

        var bytes = new byte[Encoding.UTF8.GetByteCount(id)];
        Encoding.UTF8.GetBytes(id, bytes);
        return Read(SHA256.HashData(bytes));
    }

    /// <summary>The key in the first <see cref="Size"/> bytes.</summary>
    public static TraceKey Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    /// <summary>The keys that <see cref="Pack"/> made one byte string of.</summary>
    public static TraceKey[] Unpack(ReadOnlySpan<byte> bytes)
    {
        var keys = new TraceKey[bytes.Length / Size];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = Read(bytes[(i * Size)..]);
        }

        return keys;
    }

    /// <summary>Keys one after the other, <see cref="Size"/> bytes each.</summary>
    public static byte[] Pack(ReadOnlySpan<TraceKey> keys)
    {
        var bytes = new byte[keys.Length * Size];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i].Write(bytes.AsSpan(i * Size));
        }

        return bytes;
    }

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Low);
    }

    public byte[] ToBytes() => Pack([this]);

    public int CompareTo(TraceKey other) => High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);

    // It is part of a hash already.
    public override int GetHashCode() => (int)Low;

    /// <summary>The id: 32 lower-case hexadecimal digits.</summary>
    public override string ToString() => $"{High:x16}{Low:x16}";

    public static bool operator <(TraceKey left, TraceKey right) => left.CompareTo(right) < 0;

    public static bool operator >(TraceKey left, TraceKey right) => left.CompareTo(right) > 0;

    public static bool operator <=(TraceKey left, TraceKey right) => left.CompareTo(right) <= 0;

    public static bool operator >=(TraceKey left, TraceKey right) => left.CompareTo(right) >= 0;
}
