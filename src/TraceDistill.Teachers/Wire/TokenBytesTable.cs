using System.Diagnostics.CodeAnalysis;

namespace TraceDistill.Teachers.Wire;

/// <summary>Numbers distinct byte strings in the order of their first appearance: stand-ins for ids where a teacher tells none.</summary>
sealed class TokenBytesTable
{
    readonly List<byte[]> _entries = [];
    readonly Dictionary<byte[], int> _index = new(BytesComparer.Instance);

    public int IdOf(ReadOnlySpan<byte> bytes)
    {
        var lookup = _index.GetAlternateLookup<ReadOnlySpan<byte>>();
        if (!lookup.TryGetValue(bytes, out var id))
        {
            id = _entries.Count;
            var owned = bytes.ToArray();
            _entries.Add(owned);
            _index.Add(owned, id);
        }

        return id;
    }

    public byte[][] ToArray() => [.. _entries];

    sealed class BytesComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static readonly BytesComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = new HashCode();
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
