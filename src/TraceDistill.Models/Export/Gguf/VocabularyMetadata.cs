using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>The keys of a tokenizer: tokens, merges or scores, special tokens, chat template.</summary>
sealed class VocabularyMetadata
{
    const char Mark = '▁';

    /// <summary>llama.cpp's names for tokens that end a generation.</summary>
    static readonly string[] EndRoles = ["eos", "eot", "eom"];

    readonly List<string> _differences = [];
    readonly GgufMetadata _metadata;
    readonly TokenizerListing _tokenizer;
    readonly string _file;

    VocabularyMetadata(GgufMetadata metadata, TokenizerListing tokenizer, string file) =>
        (_metadata, _tokenizer, _file) = (metadata, tokenizer, file);

    /// <summary>Type that llama.cpp gives a token.</summary>
    enum TokenType
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <summary>Adds the keys.</summary>
    /// <param name="metadata">Gets them.</param>
    /// <param name="configuration">
    /// The network: rows of its embedding past the tokenizer's ids get names of their own, as each must have one.
    /// </param>
    /// <param name="modelDirectory">Where the tokenizer lies.</param>
    /// <returns>In what llama.cpp reads text otherwise, each a line.</returns>
    /// <exception cref="InvalidInputException">GGUF cannot hold the tokenizer.</exception>
    public static IReadOnlyList<string> Add(GgufMetadata metadata, ModelConfiguration configuration, string modelDirectory)
    {
        var tokenizer = TokenizerListing.Load(modelDirectory);
        ModelDirectory.CheckTokenizer(modelDirectory, configuration, tokenizer.Tokens.Count, tokenizer.ChatTemplate is not null);
        tokenizer = tokenizer with { EndIds = [.. tokenizer.EndIds.Union(configuration.EosTokenIds)] };
        var vocabulary = new VocabularyMetadata(metadata, tokenizer, Path.Combine(modelDirectory, Tokenizer.FileName));
        vocabulary.Add(configuration.VocabSize);
        return vocabulary._differences;
    }

    void Add(int rows)
    {
        if (_tokenizer.IsByteLevel && _tokenizer.Normalizer.FirstOrDefault(step => step.Type != "NFC") is { } step)
        {
            throw new InvalidInputException(
                $"{_file}: normalizer: llama.cpp has no {step.Type} for byte-level "
                    + "vocabularies, so GGUF cannot hold this one; export to huggingface"
            );
        }

        _metadata.Add("tokenizer.ggml.model", _tokenizer.IsByteLevel ? "gpt2" : "llama");
        _metadata.Add("tokenizer.ggml.pre", _tokenizer.IsByteLevel ? PreTokenizerNames.Of(_tokenizer, _file) : "default");
        _metadata.Add("tokenizer.ggml.tokens", [.. Enumerable.Range(0, rows).Select(id => TokenOf(id) ?? $"[PAD{id}]")]);
        _metadata.Add("tokenizer.ggml.token_type", [.. Enumerable.Range(0, rows).Select(id => (int)TypeOf(id))]);
        if (_tokenizer.IsByteLevel)
        {
            _metadata.Add(
                "tokenizer.ggml.merges",
                [.. _tokenizer.Merges.Select(merge => $"{_tokenizer.Tokens[merge.Left]} {_tokenizer.Tokens[merge.Right]}")]
            );
        }
        else
        {
            _metadata.Add("tokenizer.ggml.scores", Scores(rows));
            _metadata.Add("tokenizer.ggml.add_space_prefix", HasSpacePrefix());
        }

        AddSpecialTokens();
        if (_tokenizer.ChatTemplate is { } template)
        {
            _metadata.Add("tokenizer.chat_template", template);
        }

        NoteDifferences();
    }

    string? TokenOf(int id) => id < _tokenizer.Tokens.Count ? _tokenizer.Tokens[id] : null;

    TokenType TypeOf(int id) =>
        TokenOf(id) is not { } token ? TokenType.Unused
        : id == _tokenizer.UnknownId ? TokenType.Unknown
        : _tokenizer.AddedTokens.TryGetValue(id, out var added) ? (added.Special ? TokenType.Control : TokenType.UserDefined)
        : !_tokenizer.IsByteLevel && token is ['<', '0', 'x', _, _, '>'] ? TokenType.Byte
        : TokenType.Normal;

    void AddSpecialTokens()
    {
        var (prefix, suffix, ends) = (_tokenizer.Prefix, _tokenizer.Suffix, _tokenizer.EndIds);
        AddId("bos", prefix.Count == 1 ? prefix[0] : _tokenizer.BeginOfSequenceId);
        foreach (var (role, id) in EndRoles.Zip(ends))
        {
            AddId(role, id);
        }

        AddId("unknown", _tokenizer.UnknownId);
        AddId("padding", _tokenizer.PaddingId);
        _metadata.Add("tokenizer.ggml.add_bos_token", prefix.Count == 1);
        _metadata.Add("tokenizer.ggml.add_eos_token", suffix.Count > 0 && ends.Take(1).SequenceEqual(suffix));
    }

    void AddId(string role, int? id)
    {
        if (id is { } known)
        {
            _metadata.Add($"tokenizer.ggml.{role}_token_id", known);
        }
    }

    /// <summary>
    /// llama.cpp merges by the score of what comes out, as SentencePiece does, where tokenizer.json
    /// has ranks of pairs: a token's score is the best rank of the pairs that make it.
    /// </summary>
    float[] Scores(int rows)
    {
        var scores = new float[rows];
        foreach (var (rank, merge) in _tokenizer.Merges.Index().Reverse())
        {
            scores[merge.Result] = -rank;
        }

        return scores;
    }

    /// <summary>
    /// Returns whether text at the start and after an added token gets a mark before it, which is all that llama.cpp knows.
    /// </summary>
    bool HasSpacePrefix()
    {
        var steps = _tokenizer.Normalizer;
        var isMarked = steps.Contains(new NormalizerStep("Replace", " ", $"{Mark}"));
        var isPrepended = steps.Contains(new NormalizerStep("Prepend", Content: $"{Mark}"));
        if (
            steps.Count != (isMarked ? 1 : 0) + (isPrepended ? 1 : 0)
            || isMarked == _tokenizer.Metaspace is not null
            || (isPrepended && !isMarked)
            || _tokenizer.Metaspace is { Mark: not Mark }
        )
        {
            throw new InvalidInputException(
                $"{_file}: normalizer: llama.cpp only knows SentencePiece's marks for spaces, "
                    + "so GGUF cannot hold this one; export to huggingface"
            );
        }

        if (_tokenizer.Metaspace is { Prepends: MetaspacePrepending.First })
        {
            _differences.Add("llama.cpp puts a space before text after a special token too, not only at the start");
        }

        if (_tokenizer.Metaspace is { Prepends: not MetaspacePrepending.Never })
        {
            _differences.Add("llama.cpp puts a space before text that begins with one too");
        }

        return isPrepended || _tokenizer.Metaspace is { Prepends: not MetaspacePrepending.Never };
    }

    /// <summary>Pairs of tokens that make a token although no merge has them.</summary>
    int CountFreeMerges()
    {
        var tokens = _tokenizer
            .Tokens.Index()
            .Where(token => token.Item is not null && TypeOf(token.Index) == TokenType.Normal)
            .ToDictionary(token => token.Item!, token => token.Index);
        var merges = _tokenizer.Merges.Select(merge => (merge.Left, merge.Right)).ToHashSet();
        return tokens.Keys.Sum(token =>
            Enumerable
                .Range(1, token.Length - 1)
                .Count(cut =>
                    tokens.TryGetValue(token[..cut], out var left)
                    && tokens.TryGetValue(token[cut..], out var right)
                    && !merges.Contains((left, right))
                )
        );
    }

    void NoteDifferences()
    {
        if (_tokenizer.IsByteLevel && _tokenizer.Normalizer.Count > 0)
        {
            _differences.Add("llama.cpp does not normalise text to NFC: give it text that is");
        }

        if (_tokenizer.AddedTokens.Values.FirstOrDefault(token => token.StripLeft || token.StripRight || token.SingleWord) is { } strict)
        {
            _differences.Add($"llama.cpp finds {strict.Content} in any text: single_word, lstrip and rstrip are not known to it");
        }

        if (_tokenizer.Prefix.Count > 1 || (_tokenizer.Suffix.Count > 0 && !_tokenizer.EndIds.Take(1).SequenceEqual(_tokenizer.Suffix)))
        {
            _differences.Add(
                "llama.cpp puts one token before a text and the end-of-sequence "
                    + "token after it at most: the tokenizer's other ones are left out"
            );
        }

        if (_tokenizer.EndIds.Count == 0)
        {
            _differences.Add(
                "the model names no token that ends a text, and llama.cpp then "
                    + "takes one of its own choice: set eos_token in tokenizer_config.json"
            );
        }

        if (_tokenizer.IsByteLevel && PreTokenizerNames.IgnoresMerges(_tokenizer, _file) != _tokenizer.IgnoreMerges)
        {
            _differences.Add($"llama.cpp takes ignore_merges as {!_tokenizer.IgnoreMerges} with this way of cutting text");
        }

        if (!_tokenizer.IsByteLevel && CountFreeMerges() is > 0 and var free)
        {
            _differences.Add($"llama.cpp merges any two tokens that make a third, of which {free:#,0} pairs are not among the merges");
        }

        if (!_tokenizer.IsByteLevel && _tokenizer.Splits.Count > 0 && _tokenizer.Tokens.Any(token => token?.LastIndexOf(Mark) > 0))
        {
            _differences.Add($"llama.cpp does not cut text at spaces, so tokens with {Mark} in their middle are found");
        }
    }
}
