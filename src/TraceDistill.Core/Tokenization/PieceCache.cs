namespace TraceDistill.Core.Tokenization;

/// <summary>Remembers the tokens of recent pieces. Lock-free and of bounded size: an entry is immutable and a newer one may take its slot.</summary>
sealed class PieceCache
{
    /// <summary>Longer pieces are rare and not worth the memory.</summary>
    public const int MaxPieceLength = 64;

    const int Slots = 1 << 15;

    readonly Entry?[] _slots = new Entry?[Slots];

    /// <returns>The tokens, or null for a piece that is not remembered.</returns>
    public PieceToken[]? Find(ReadOnlySpan<char> piece, int hash)
    {
        var entry = Volatile.Read(ref _slots[hash & (Slots - 1)]);
        return entry is not null && entry.Hash == hash && piece.SequenceEqual(entry.Piece) ? entry.Tokens : null;
    }

    public void Store(ReadOnlySpan<char> piece, int hash, PieceToken[] tokens) =>
        Volatile.Write(ref _slots[hash & (Slots - 1)], new Entry(hash, piece.ToString(), tokens));

    sealed record Entry(int Hash, string Piece, PieceToken[] Tokens);
}
