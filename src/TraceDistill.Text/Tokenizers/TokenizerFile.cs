using System.Text.Json;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.PreTokenizers;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Reads Hugging Face's <c>tokenizer.json</c> where it describes a byte-level BPE (GPT-2, Llama 3, Qwen, DeepSeek and most
/// others) or SentencePiece's BPE with byte fallback (Llama 2, Mistral). Anything whose ids would differ from Hugging Face's is
/// an <see cref="UnsupportedTokenizerException"/>; <c>truncation</c> and <c>padding</c> are settings of a batch and not read.
/// </summary>
static class TokenizerFile
{
    /// <summary>Tables have an entry for each id up to the highest, so an absurd one would take all memory.</summary>
    const int MaxId = 10_000_000;

    /// <exception cref="InvalidInputException">The file is missing or malformed.</exception>
    /// <exception cref="UnsupportedTokenizerException">It is of another kind.</exception>
    public static TokenizerDefinition Read(string path)
    {
        var root = JsonField.Read(path);
        var model = root["model"];
        RequireBpe(model);
        var decoder = TokenDecoder.Read(root.Find("decoder") ?? throw root.Unsupported("a tokenizer without a decoder"));
        var vocabulary = ReadVocabulary(model["vocab"]);
        var normalizer = TextNormalizer.Read(root.Find("normalizer"));
        if (normalizer.SpellsBytes && !decoder.IsByteLevel)
        {
            throw root["normalizer"].Unsupported("a ByteLevel normalizer without a ByteLevel decoder");
        }

        var preTokenizer = PreTokenizerParser.Read(
            root.Find("pre_tokenizer")
                ?? (
                    decoder.IsByteLevel && !normalizer.SpellsBytes
                        ? throw root.Unsupported("a byte-level vocabulary without a pre_tokenizer")
                        : null
                ),
            decoder.IsByteLevel,
            normalizer.SpellsBytes
        );
        var symbols = ReadSymbols(model, vocabulary, decoder.IsByteLevel, out var unknown);
        return new TokenizerDefinition
        {
            Vocabulary = vocabulary,
            Merges = ReadMerges(model["merges"], vocabulary),
            IgnoreMerges = model.Boolean("ignore_merges", absent: false),
            AddedTokens = root.Find("added_tokens") is { } added ? ReadAddedTokens(added, vocabulary) : new Dictionary<int, AddedToken>(),
            Normalizer = normalizer,
            PreTokenizer = preTokenizer,
            Symbols = preTokenizer.SpelledSplitters.Count > 0 ? new SpelledByteSymbols(vocabulary) : symbols,
            UnknownId = unknown,
            Decoder = decoder,
            PostProcessor = PostProcessor.Read(root.Find("post_processor")),
        };
    }

    static void RequireBpe(JsonField model)
    {
        if (model.Find("type") is { } type && type.Text() != "BPE")
        {
            throw type.Unsupported($"a {type.Text()} model");
        }
        if (model["vocab"].Kind == JsonValueKind.Array)
        {
            throw model["vocab"].Unsupported("a Unigram vocabulary");
        }
        if (model.Find("dropout") is { } dropout && dropout.Element.ToString() is not ("0" or "0.0"))
        {
            throw dropout.Fail(
                $"{dropout.Name}: the value {dropout.Element} is not supported: "
                    + "the same text would have other ids each time; set it to null"
            );
        }
        foreach (var name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (model.Find(name) is { } field && field.Element.ToString().Length > 0)
            {
                throw field.Unsupported($"the value {field.Element}");
            }
        }
    }

    static ISymbols ReadSymbols(JsonField model, Dictionary<string, int> vocabulary, bool isByteLevel, out int? unknown)
    {
        unknown = null;
        var hasFallback = model.Boolean("byte_fallback", absent: false);
        if (!isByteLevel)
        {
            unknown =
                model.Find("unk_token") is not { } token ? null
                : vocabulary.TryGetValue(token.Text(), out var id) ? id
                : throw token.Wrong("a token of the vocabulary");
            return hasFallback
                ? new CharacterSymbols(vocabulary, unknown, model.Boolean("fuse_unk", absent: false))
                : throw model.Unsupported("a vocabulary that is neither byte-level nor has byte fallback");
        }

        if (hasFallback)
        {
            throw model["byte_fallback"].Unsupported("byte fallback beside a byte-level decoder");
        }
        var symbols = new ByteSymbols(vocabulary);
        return model.Find("unk_token") is not { } unused || symbols.HasAll
            ? symbols
            : throw unused.Unsupported("an unknown token beside a vocabulary without some bytes");
    }

    /// <summary>The ids of tokens by their spelling.</summary>
    public static Dictionary<string, int> ReadVocabulary(JsonField field)
    {
        var count = field.Kind == JsonValueKind.Object ? field.Element.GetPropertyCount() : 0;
        var vocabulary = new Dictionary<string, int>(count, StringComparer.Ordinal);
        var tokens = new Dictionary<int, string>(count);
        foreach (var (token, value) in field.Entries())
        {
            if (value.Kind != JsonValueKind.Number || !value.Element.TryGetInt32(out var id) || id is < 0 or > MaxId)
            {
                throw field.Fail($"model.vocab: the id of \"{token}\" must be a whole number from 0 to {MaxId}");
            }
            vocabulary[token] = id;
            if (!tokens.TryAdd(id, token) && tokens[id] != token)
            {
                throw field.Fail($"model.vocab: \"{tokens[id]}\" and \"{token}\" share the id {id}");
            }
        }

        return vocabulary.Count > 0 ? vocabulary : throw field.Wrong("an object with at least one token");
    }

    static List<(int, int, int)> ReadMerges(JsonField field, Dictionary<string, int> vocabulary)
    {
        // Hundreds of thousands of merges: a token is looked up where it stands, not as a string of its own.
        var ids = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<(int, int, int)>(field.Kind == JsonValueKind.Array ? field.Element.GetArrayLength() : 0);
        foreach (var item in field.Items())
        {
            var (text, first) = ReadPair(item);
            merges.Add((Id(item, text.AsSpan(0, first)), Id(item, text.AsSpan(first)), Id(item, text)));
        }

        return merges;

        int Id(JsonField item, ReadOnlySpan<char> token) =>
            ids.TryGetValue(token, out var id) ? id : throw item.Wrong($"a merge within the vocabulary, which has no token \"{token}\"");
    }

    /// <summary>Older files write a merge as <c>"a b"</c>, newer ones as <c>["a", "b"]</c>.</summary>
    /// <returns>Both tokens together, and the length of the first.</returns>
    static (string Text, int First) ReadPair(JsonField item)
    {
        if (item.Kind == JsonValueKind.Array)
        {
            var pair = item.Items().Select(part => part.Text()).ToArray();
            return pair.Length == 2 ? (pair[0] + pair[1], pair[0].Length) : throw item.Wrong("a pair of tokens");
        }

        var text = item.Text();
        var space = text.IndexOf(' ');
        return space > 0 && space == text.LastIndexOf(' ') && space < text.Length - 1
            ? (text.Remove(space, 1), space)
            : throw item.Wrong("two tokens with one space between them");
    }

    /// <summary>Added tokens by id.</summary>
    public static SortedDictionary<int, AddedToken> ReadAddedTokens(JsonField field, Dictionary<string, int> vocabulary)
    {
        var ids = new HashSet<int>(vocabulary.Values);
        var tokens = new SortedDictionary<int, AddedToken>();
        foreach (var item in field.Items())
        {
            var id = item["id"].Integer();
            var token = new AddedToken(item["content"].Text())
            {
                Special = item.Boolean("special", absent: false),
                SingleWord = item.Boolean("single_word", absent: false),
                StripLeft = item.Boolean("lstrip", absent: false),
                StripRight = item.Boolean("rstrip", absent: false),
                Normalized = item.Boolean("normalized", absent: false),
            };
            if (vocabulary.TryGetValue(token.Content, out var known) ? known != id : id is < 0 or > MaxId || ids.Contains(id))
            {
                throw item.Fail($"added_tokens: the id {id} of \"{token.Content}\" contradicts model.vocab");
            }
            if (!tokens.TryAdd(id, token))
            {
                throw item.Fail($"added_tokens: the id {id} is given twice");
            }
        }

        return tokens;
    }
}
