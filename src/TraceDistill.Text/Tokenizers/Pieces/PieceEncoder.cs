using System.Runtime.InteropServices;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>
/// Turns one piece of text into tokens: from the cache, whole from the vocabulary, or by merging its symbols. For one thread at a time.
/// </summary>
/// <param name="merges">Pairs of symbols and the symbol that each merges into.</param>
/// <param name="symbols">Symbols that merging begins with.</param>
/// <param name="wholePieces">Pieces that are tokens without a look at the merges; null where there are none.</param>
sealed class PieceEncoder(MergeTable merges, ISymbols symbols, Dictionary<string, int>? wholePieces)
{
    readonly PieceCache _cache = new();
    readonly BytePairMerger _merger = new(merges);
    readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>>? _wholePieces = wholePieces?.GetAlternateLookup<
        ReadOnlySpan<char>
    >();

    // The piece at hand, kept between calls to save the allocation.
    readonly List<char> _spelling = [];
    readonly List<PieceToken> _symbols = [];
    readonly List<PieceToken> _tokens = [];

    /// <summary>The tokens of a piece, valid until the next call.</summary>
    public ReadOnlySpan<PieceToken> Encode(ReadOnlySpan<char> piece)
    {
        if (piece.Length > PieceCache.MaxLength)
        {
            return EncodeUncached(piece);
        }
        if (_cache.Find(piece) is { IsEmpty: false } known)
        {
            return known;
        }
        var tokens = EncodeUncached(piece);
        if (tokens.Length <= PieceCache.MaxTokens)
        {
            _cache.Store(piece, tokens);
        }
        return tokens;
    }

    ReadOnlySpan<PieceToken> EncodeUncached(ReadOnlySpan<char> piece)
    {
        _tokens.Clear();
        if (_wholePieces is { } whole && whole.TryGetValue(Spell(piece), out var id))
        {
            _tokens.Add(new PieceToken(id, symbols.ByteCount(piece)));
        }
        else
        {
            _symbols.Clear();
            symbols.Append(piece, _symbols);
            _merger.Apply(CollectionsMarshal.AsSpan(_symbols), _tokens);
        }

        return CollectionsMarshal.AsSpan(_tokens);
    }

    ReadOnlySpan<char> Spell(ReadOnlySpan<char> piece)
    {
        _spelling.Clear();
        symbols.Spell(piece, _spelling);
        return CollectionsMarshal.AsSpan(_spelling);
    }
}
