using System.Runtime.InteropServices;

namespace TraceDistill.Core.Tokenization;

/// <summary>Turns one piece of text into ids: from the cache, whole from the vocabulary, or by merging its symbols.</summary>
sealed class PieceEncoder
{
    /// <summary>The symbols of the piece at hand, kept between calls to save the allocation.</summary>
    [ThreadStatic]
    static List<int>? _scratch;

    readonly PieceCache _cache = new();
    readonly BytePairMerger _merger;
    readonly ISymbols _symbols;
    readonly Dictionary<string, int>? _wholePieces;

    public PieceEncoder(TokenizerDefinition definition)
    {
        _merger = new BytePairMerger(definition.Merges);
        _symbols = definition.Symbols;
        if (definition.IgnoreMerges)
            _wholePieces = new Dictionary<string, int>(definition.Vocabulary, StringComparer.Ordinal);
    }

    /// <summary>Appends the ids of a piece.</summary>
    public void Encode(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (piece.Length > PieceCache.MaxPieceLength)
        {
            EncodeUncached(piece, ids);
            return;
        }

        var hash = string.GetHashCode(piece);
        if (_cache.Find(piece, hash) is { } known)
        {
            ids.AddRange(known);
            return;
        }

        var start = ids.Count;
        EncodeUncached(piece, ids);
        _cache.Store(piece, hash, CollectionsMarshal.AsSpan(ids)[start..].ToArray());
    }

    void EncodeUncached(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (_wholePieces is not null && _wholePieces.TryGetValue(_symbols.Spell(piece), out var id))
        {
            ids.Add(id);
            return;
        }

        var symbols = _scratch ??= new List<int>(PieceCache.MaxPieceLength);
        symbols.Clear();
        _symbols.Append(piece, symbols);
        _merger.Apply(CollectionsMarshal.AsSpan(symbols), ids);
    }
}
