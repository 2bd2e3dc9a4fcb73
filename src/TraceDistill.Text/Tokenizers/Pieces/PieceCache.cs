using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>
/// Remembers the tokens of recent short pieces: words come again. Of fixed size (1 MB), without an
/// allocation after the first; a newer piece may take an older one's place. For one thread at a time.
/// </summary>
sealed class PieceCache
{
    public const int MaxLength = 19;

    public const int MaxTokens = 3;

    const int Slots = 1 << 14;

    readonly Entry[] _entries = new Entry[Slots];

    /// <returns>The tokens; none for a piece that is not remembered. Valid until the next <see cref="Store"/>.</returns>
    public ReadOnlySpan<PieceToken> Find(ReadOnlySpan<char> piece)
    {
        ref var entry = ref _entries[SlotOf(piece)];
        return piece.SequenceEqual(entry.Piece[..entry.Length]) ? entry.Tokens[..entry.Count] : [];
    }

    public void Store(ReadOnlySpan<char> piece, ReadOnlySpan<PieceToken> tokens)
    {
        ref var entry = ref _entries[SlotOf(piece)];
        (entry.Length, entry.Count) = ((byte)piece.Length, (byte)tokens.Length);
        piece.CopyTo(entry.Piece);
        tokens.CopyTo(entry.Tokens);
    }

    /// <summary>Four characters at a time, mixed by multiplication (Fibonacci hashing).</summary>
    static int SlotOf(ReadOnlySpan<char> piece)
    {
        const ulong Multiplier = 0x9E3779B97F4A7C15;
        var hash = (ulong)piece.Length;
        var bytes = MemoryMarshal.AsBytes(piece);
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            hash = (hash ^ MemoryMarshal.Read<ulong>(bytes)) * Multiplier;
        }
        for (; bytes.Length > 0; bytes = bytes[sizeof(char)..])
        {
            hash = (hash ^ MemoryMarshal.Read<char>(bytes)) * Multiplier;
        }
        return (int)((hash ^ (hash >> 32)) * Multiplier >> 50);
    }

    /// <summary>64 bytes: what a processor fetches at once.</summary>
    struct Entry
    {
        public Tokens3 Tokens;
        public Chars19 Piece;
        public byte Length;
        public byte Count;
    }

    [InlineArray(MaxTokens)]
    struct Tokens3
    {
        PieceToken _first;
    }

    [InlineArray(MaxLength)]
    struct Chars19
    {
        char _first;
    }
}
