using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.PreTokenizers;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Checked content of a <c>tokenizer.json</c> of the supported kind.</summary>
sealed record TokenizerDefinition
{
    /// <summary>Token spellings with their ids, added tokens not included unless the model's vocabulary has them.</summary>
    public required Dictionary<string, int> Vocabulary { get; init; }

    /// <summary>Merges in order of rank, as ids.</summary>
    public required IReadOnlyList<(int Left, int Right, int Result)> Merges { get; init; }

    /// <summary>True where a piece that is itself in the vocabulary is taken whole, without looking at merges.</summary>
    public required bool IgnoreMerges { get; init; }

    /// <summary>Added tokens by id.</summary>
    public required IReadOnlyDictionary<int, AddedToken> AddedTokens { get; init; }

    public required TextNormalizer Normalizer { get; init; }

    public required PreTokenizer PreTokenizer { get; init; }

    /// <summary>Symbols that merging begins with.</summary>
    public required ISymbols Symbols { get; init; }

    /// <summary>Token for a character that has neither a token nor bytes.</summary>
    public required int? UnknownId { get; init; }

    public required TokenDecoder Decoder { get; init; }

    public required PostProcessor PostProcessor { get; init; }
}
