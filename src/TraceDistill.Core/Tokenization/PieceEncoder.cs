using System.Runtime.InteropServices;
using System.Text;

namespace TraceDistill.Core.Tokenization;

/// <summary>Turns one piece of text into tokens: from the cache, whole from the vocabulary, or by merging its symbols.</summary>
sealed class PieceEncoder
{
    /// <summary>The symbols of the piece at hand and its tokens, kept between calls to save the allocation.</summary>
    [ThreadStatic]
    static (List<PieceToken> Symbols, List<PieceToken> Tokens)? _scratch;

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

    /// <summary>The tokens of a piece, valid until the next call on the same thread.</summary>
    public ReadOnlySpan<PieceToken> Encode(ReadOnlySpan<char> piece)
    {
        if (piece.Length > PieceCache.MaxPieceLength)
            return EncodeUncached(piece);
        var hash = string.GetHashCode(piece);
        if (_cache.Find(piece, hash) is { } known)
            return known;
        var tokens = EncodeUncached(piece);
        _cache.Store(piece, hash, tokens.ToArray());
        return tokens;
    }

    ReadOnlySpan<PieceToken> EncodeUncached(ReadOnlySpan<char> piece)
    {
        var (symbols, tokens) = _scratch ??= ([], []);
        symbols.Clear();
        tokens.Clear();
        if (_wholePieces is not null && _wholePieces.TryGetValue(_symbols.Spell(piece), out var id))
        {
            tokens.Add(new PieceToken(id, Encoding.UTF8.GetByteCount(piece)));
        }
        else
        {
            _symbols.Append(piece, symbols);
            _merger.Apply(CollectionsMarshal.AsSpan(symbols), tokens);
        }

        return CollectionsMarshal.AsSpan(tokens);
    }
}
