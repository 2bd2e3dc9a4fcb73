using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Hosting;
using TraceDistill.Text.Tokenizers.Pieces;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// A tokenizer.json whose rules Hugging Face's tokenizers apply, in a process of their own. Ids, names and bytes of tokens are read here.
/// </summary>
sealed class HostedTokenizer
{
    /// <summary>By SHA-256 of the file: the same one is loaded by many, and once is enough.</summary>
    static readonly Dictionary<string, HostedTokenizer> Running = [];

    readonly HostConnection _host;

    HostedTokenizer(string file, byte[] content, UnsupportedTokenizerException unsupported, HostConnection host)
    {
        _host = host;
        var root = JsonField.Read(file);
        var model = root["model"];
        var vocabulary = ReadVocabulary(model["vocab"]);
        AddedTokens = root.Find("added_tokens") is { } added
            ? TokenizerFile.ReadAddedTokens(added, vocabulary)
            : new Dictionary<int, AddedToken>();
        var loaded = _host.AskOrExplain(file, new HostRequest(HostOperation.Load, TokenizerForm.Plain, content))[0];
        if (loaded.IsRefused)
        {
            throw new InvalidInputException(
                $"{unsupported.Message} (Hugging Face's tokenizers do not load it: {Encoding.UTF8.GetString(loaded.Content)})"
            );
        }

        Prepends = loaded.Content[0] != 0;
        UnknownId = model.Find("unk_id")?.Integer()
            ?? (model.Find("unk_token") is { } unknown && vocabulary.TryGetValue(unknown.Text(), out var id) ? id : null);
        var decoder = ReadDecoder(root.Find("decoder"));
        HasExactBytes = decoder is not null;
        Func<int, string, byte[]> bytesOf = decoder is not null ? (_, spelling) => decoder.BytesOf(spelling) : Decoded(file, vocabulary);
        Vocabulary = new TokenVocabulary(vocabulary, AddedTokens, bytesOf, Rules(root));
        CheckAddedTokens(file);
    }

    public TokenVocabulary Vocabulary { get; }

    public IReadOnlyDictionary<int, AddedToken> AddedTokens { get; }

    /// <summary>True where anything is put before a text.</summary>
    public bool Prepends { get; }

    /// <summary>True where the decoder reads each token by itself, so that the bytes of tokens are those of the text.</summary>
    public bool HasExactBytes { get; }

    /// <summary>Token for text without tokens.</summary>
    public int? UnknownId { get; }

    /// <summary>The tokenizer of a file, in a process that is started the first time and ends with this one.</summary>
    /// <param name="file">A tokenizer.json.</param>
    /// <param name="unsupported">Why it is not read here.</param>
    /// <exception cref="InvalidInputException">The library does not read it either.</exception>
    public static HostedTokenizer Of(string file, UnsupportedTokenizerException unsupported)
    {
        var content = System.IO.File.ReadAllBytes(file);
        var key = Convert.ToHexString(SHA256.HashData(content));
        lock (Running)
        {
            if (!Running.TryGetValue(key, out var running))
            {
                Running[key] = running = new HostedTokenizer(file, content, unsupported, HostProcess.Start());
            }

            return running;
        }
    }

    /// <summary>As <see cref="Of"/>, on a host that the caller has.</summary>
    public static HostedTokenizer On(HostConnection host, string file, UnsupportedTokenizerException unsupported) =>
        new(file, System.IO.File.ReadAllBytes(file), unsupported, host);

    /// <summary>The ids of each text.</summary>
    /// <param name="file">For messages.</param>
    /// <param name="form">Says, among others, if special tokens are added.</param>
    /// <param name="texts">Lone surrogates count as U+FFFD.</param>
    public int[][] Encode(string file, TokenizerForm form, params IReadOnlyList<string> texts) =>
        [.. Ask(file, HostOperation.Encode, form, texts.Select(Encoding.UTF8.GetBytes)).Select(reply => HostFrame.ToIds(reply))];

    /// <summary>The text of each list of ids.</summary>
    /// <param name="file">For messages.</param>
    /// <param name="form">Says, among others, if special tokens are left out.</param>
    /// <param name="lists">Ids without a token give nothing.</param>
    public string[] Decode(string file, TokenizerForm form, params IReadOnlyList<int[]> lists) =>
        [.. Ask(file, HostOperation.Decode, form, lists.Select(ids => HostFrame.OfIds(ids))).Select(Encoding.UTF8.GetString)];

    IEnumerable<byte[]> Ask(string file, HostOperation operation, TokenizerForm form, IEnumerable<byte[]> contents) =>
        _host
            .AskOrExplain(file, [.. contents.Select(content => new HostRequest(operation, form, content))])
            .Select(reply =>
                !reply.IsRefused
                    ? reply.Content
                    : throw new InvalidInputException(
                        $"{file}: Hugging Face's tokenizers refuse a text or its ids: {Encoding.UTF8.GetString(reply.Content)}"
                    )
            );

    /// <summary>An object of ids, or Unigram's list of tokens with their scores, in order of id.</summary>
    static Dictionary<string, int> ReadVocabulary(JsonField field)
    {
        if (field.Kind != JsonValueKind.Array)
        {
            return TokenizerFile.ReadVocabulary(field);
        }

        var vocabulary = new Dictionary<string, int>(field.Element.GetArrayLength(), StringComparer.Ordinal);
        foreach (var (id, token) in field.Items().Index())
        {
            vocabulary.TryAdd(
                token.Items().FirstOrDefault() is { Kind: JsonValueKind.String } spelling
                    ? spelling.Text()
                    : throw token.Wrong("a token and its score"),
                id
            );
        }

        return vocabulary.Count > 0 ? vocabulary : throw field.Wrong("an array with at least one token");
    }

    /// <returns>Null for one that does not say what a single token's bytes are.</returns>
    static TokenDecoder? ReadDecoder(JsonField? field)
    {
        try
        {
            return field is { } decoder ? TokenDecoder.Read(decoder) : null;
        }
        catch (UnsupportedTokenizerException)
        {
            return null;
        }
    }

    /// <summary>Text of each token behind another, by the library.</summary>
    Func<int, string, byte[]> Decoded(string file, Dictionary<string, int> vocabulary)
    {
        int[] ids = [.. vocabulary.Values.Distinct()];
        var alone = Decode(file, TokenizerForm.Plain, [.. ids.Select(id => new[] { id })]);

        // Two of them: some decoders leave out what repeats.
        int[] before = [.. ids.Zip(alone).Where(token => token.Second.Trim().Length > 0).Select(token => token.First).Take(2)];
        var prefixes = Decode(file, TokenizerForm.Plain, [.. before.Select(id => new[] { id })]);
        int Before(int id) => before.Length > 1 && before[0] == id ? 1 : 0;
        var behind =
            before.Length == 0 ? alone : Decode(file, TokenizerForm.Plain, [.. ids.Select(id => new[] { before[Before(id)], id })]);
        var bytes = ids.Index()
            .ToDictionary(
                entry => entry.Item,
                entry =>
                {
                    var prefix = prefixes.Length == 0 ? "" : prefixes[Before(entry.Item)];
                    var text = behind[entry.Index];
                    return Encoding.UTF8.GetBytes(
                        text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : alone[entry.Index]
                    );
                }
            );
        return (id, _) => bytes[id];
    }

    /// <summary>All that says how text becomes tokens, however the file is laid out.</summary>
    static byte[] Rules(JsonField root)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in new[] { "model", "normalizer", "pre_tokenizer", "decoder" })
        {
            hash.AppendData(root.Find(name) is { } field ? JsonSerializer.SerializeToUtf8Bytes(field.Element) : "null"u8);
        }

        return hash.GetHashAndReset();
    }

    /// <summary>The library gives added tokens the ids that are free, whatever the file says.</summary>
    void CheckAddedTokens(string file)
    {
        var tokens = AddedTokens.Where(token => token.Value.Content.Length > 0).ToList();
        var encoded = Encode(file, TokenizerForm.Plain, [.. tokens.Select(token => token.Value.Content)]);
        foreach (var ((id, token), ids) in tokens.Zip(encoded))
        {
            if (!ids.Contains(id))
            {
                throw new InvalidInputException(
                    $"{file}: added_tokens: \"{token.Content}\" has another id than "
                        + $"{id} in Hugging Face's tokenizers; fetch or export the file again"
                );
            }
        }
    }
}
