using System.Runtime.InteropServices;
using System.Text;

namespace TraceDistill.Core.Tokenization;

/// <summary>Turns one piece of text into ids: from the cache, whole from the vocabulary, or by merging its bytes.</summary>
sealed class PieceEncoder
{
    readonly PieceCache _cache = new();
    readonly BytePairMerger _merger;
    readonly int[] _byteIds = new int[256];
    readonly Dictionary<string, int>? _wholePieces;

    public PieceEncoder(TokenizerDefinition definition)
    {
        _merger = new BytePairMerger(definition.Merges);
        for (var value = 0; value < 256; value++)
            _byteIds[value] = definition.Vocabulary.GetValueOrDefault($"{ByteLevelAlphabet.ToChar((byte)value)}", -1);
        if (definition.IgnoreMerges)
            _wholePieces = new Dictionary<string, int>(definition.Vocabulary, StringComparer.Ordinal);
    }

    /// <summary>Appends the ids of a piece. Bytes that the vocabulary lacks give nothing.</summary>
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
        var bytes = new byte[Encoding.UTF8.GetByteCount(piece)];
        Encoding.UTF8.GetBytes(piece, bytes);
        if (_wholePieces is not null && _wholePieces.TryGetValue(ByteLevelAlphabet.Spell(bytes), out var id))
        {
            ids.Add(id);
            return;
        }

        var symbols = new List<int>(bytes.Length);
        foreach (var value in bytes)
        {
            if (_byteIds[value] >= 0)
                symbols.Add(_byteIds[value]);
        }

        _merger.Apply(CollectionsMarshal.AsSpan(symbols), ids);
    }
}
