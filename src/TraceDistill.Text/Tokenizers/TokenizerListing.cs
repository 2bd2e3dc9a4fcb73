using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;

namespace TraceDistill.Text.Tokenizers;

/// <summary>A tokenizer's rules laid open, for formats that write vocabularies their own way.</summary>
public sealed record TokenizerListing
{
    /// <summary>
    /// True where tokens are spelled in GPT-2's alphabet of bytes; else in characters, with <c>&lt;0x0A&gt;</c> for bytes.
    /// </summary>
    public required bool IsByteLevel { get; init; }

    /// <summary>Tokens by id as they are written: spelling, or an added token's content. Null for an id without one.</summary>
    public required IReadOnlyList<string?> Tokens { get; init; }

    /// <summary>By id.</summary>
    public required IReadOnlyDictionary<int, AddedToken> AddedTokens { get; init; }

    /// <summary>In order of rank.</summary>
    public required IReadOnlyList<(int Left, int Right, int Result)> Merges { get; init; }

    /// <summary>True where a piece that is in the vocabulary is taken whole.</summary>
    public required bool IgnoreMerges { get; init; }

    /// <summary>Changes to text before it is cut.</summary>
    public required IReadOnlyList<NormalizerStep> Normalizer { get; init; }

    /// <summary>Rules by which it is cut.</summary>
    public required IReadOnlyList<SplitRule> Splits { get; init; }

    /// <summary>True where text that does not begin with a space gets one, before byte-level splitting.</summary>
    public required bool AddPrefixSpace { get; init; }

    /// <summary>The pre-tokenizer's mark for spaces, as SentencePiece does; null where it does not.</summary>
    public required (char Mark, MetaspacePrepending Prepends)? Metaspace { get; init; }

    /// <summary>Ids put before a text when special tokens are asked for.</summary>
    public required IReadOnlyList<int> Prefix { get; init; }

    /// <summary>Ids put after it.</summary>
    public required IReadOnlyList<int> Suffix { get; init; }

    public required int? UnknownId { get; init; }

    public required int? BeginOfSequenceId { get; init; }

    /// <summary>Tokens that end a generation, the tokenizer's own first.</summary>
    public required IReadOnlyList<int> EndIds { get; init; }

    public required int? PaddingId { get; init; }

    /// <summary>Jinja source.</summary>
    public required string? ChatTemplate { get; init; }

    /// <summary>Reads the tokenizer of a model directory.</summary>
    /// <exception cref="InvalidInputException">As <see cref="Tokenizer.Load(string)"/>.</exception>
    public static TokenizerListing Load(string directory)
    {
        var definition = TokenizerFile.Read(Path.Combine(directory, Tokenizer.FileName));
        var settings = TokenizerSettings.Read(directory);
        var tokenizer = Tokenizer.Of(directory, definition);
        var tokens = new string?[tokenizer.VocabularySize];
        foreach (var (spelling, id) in definition.Vocabulary)
        {
            tokens[id] = spelling;
        }
        foreach (var (id, token) in definition.AddedTokens)
        {
            tokens[id] = token.Content;
        }
        return new TokenizerListing
        {
            IsByteLevel = definition.Decoder.IsByteLevel,
            Tokens = tokens,
            AddedTokens = definition.AddedTokens,
            Merges = definition.Merges,
            IgnoreMerges = definition.IgnoreMerges,
            Normalizer = definition.Normalizer.Steps,
            Splits = definition.PreTokenizer.Rules,
            AddPrefixSpace = definition.PreTokenizer.AddPrefixSpace,
            Metaspace = definition.PreTokenizer.Metaspace is { } metaspace ? (metaspace.Mark, metaspace.Prepends) : null,
            Prefix = definition.PostProcessor.Prefix,
            Suffix = definition.PostProcessor.Suffix,
            UnknownId = definition.UnknownId,
            BeginOfSequenceId = IdOf(settings.BeginOfSequence),
            EndIds = [.. tokenizer.EndOfSequenceIds.OrderBy(id => id != tokenizer.EndOfSequenceId)],
            PaddingId = IdOf(settings.Padding),
            ChatTemplate = settings.ChatTemplate,
        };

        int? IdOf(string? token) => token is not null && tokenizer.TryGetId(token, out var id) ? id : null;
    }
}
