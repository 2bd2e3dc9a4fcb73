using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Pieces;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Ids, the bytes they stand for and their names.</summary>
sealed class TokenVocabulary
{
    readonly byte[] _bytes;
    readonly int[] _offsets;
    readonly bool[] _special;
    readonly Dictionary<int, string> _added;
    readonly string?[]? _spellings;

    /// <summary>
    /// Added tokens that a byte-level decoder reads in its alphabet, so that their text is
    /// another than what they stand for: <c>õ</c> is the byte F5.
    /// </summary>
    readonly Dictionary<int, byte[]> _decoded = [];

    readonly Dictionary<string, int> _ids;

    public TokenVocabulary(TokenizerDefinition definition)
        : this(
            definition.Vocabulary,
            definition.AddedTokens,
            (_, spelling) => definition.Decoder.BytesOf(spelling),
            !definition.Decoder.IsByteLevel,
            definition.Normalizer,
            BytesOf(definition.Merges)
        ) { }

    /// <summary>A vocabulary whose rules others apply.</summary>
    /// <param name="vocabulary">Ids by spelling.</param>
    /// <param name="addedTokens">By id.</param>
    /// <param name="bytesOf">The bytes that a token stands for, by id and spelling.</param>
    /// <param name="rules">Whatever says how text becomes tokens.</param>
    public TokenVocabulary(
        Dictionary<string, int> vocabulary,
        IReadOnlyDictionary<int, AddedToken> addedTokens,
        Func<int, string, byte[]> bytesOf,
        byte[] rules
    )
        : this(vocabulary, addedTokens, bytesOf, hasSpellings: true, TextNormalizer.Read(null), rules) { }

    TokenVocabulary(
        Dictionary<string, int> vocabulary,
        IReadOnlyDictionary<int, AddedToken> addedTokens,
        Func<int, string, byte[]> bytesOf,
        bool hasSpellings,
        TextNormalizer normalizer,
        byte[] rules
    )
    {
        _ids = new Dictionary<string, int>(vocabulary, StringComparer.Ordinal);
        var tokens = new byte[]?[Math.Max(vocabulary.Values.Max(), addedTokens.Keys.DefaultIfEmpty(-1).Max()) + 1];
        foreach (var (spelling, id) in vocabulary)
        {
            tokens[id] = bytesOf(id, spelling);
        }
        var spellings = hasSpellings ? new string?[tokens.Length] : null;
        foreach (var (spelling, id) in vocabulary)
        {
            spellings?[id] = spelling;
        }
        _spellings = spellings;
        _special = new bool[tokens.Length];
        _added = addedTokens.ToDictionary(token => token.Key, token => token.Value.Content);
        foreach (var (id, token) in addedTokens)
        {
            // A token that is looked for in normalised text stands for normalised text.
            var content = token.Normalized ? normalizer.Normalize(token.Content) : token.Content;
            tokens[id] = Encoding.UTF8.GetBytes(content);
            spellings?[id] = content;
            var isSpelled = token.Normalized && normalizer.SpellsBytes;
            if (
                spellings is null
                && !isSpelled
                && ByteLevelAlphabet.ToBytes(content) is var decoded
                && !decoded.AsSpan().SequenceEqual(tokens[id])
            )
            {
                _decoded[id] = decoded;
            }
            _special[id] = token.Special;
            _ids[token.Content] = id;
        }

        _offsets = new int[tokens.Length + 1];
        for (var id = 0; id < tokens.Length; id++)
        {
            _offsets[id + 1] = _offsets[id] + (tokens[id]?.Length ?? 0);
        }
        _bytes = new byte[_offsets[^1]];
        for (var id = 0; id < tokens.Length; id++)
        {
            tokens[id]?.CopyTo(_bytes, _offsets[id]);
        }
        (Hash, MergesHash) = (ComputeHash(tokens, rules), ComputeHash([], rules));
    }

    public int Size => _special.Length;

    public string Hash { get; }

    /// <summary>Identity of the rules (the merges) alone.</summary>
    public string MergesHash { get; }

    public ReadOnlySpan<byte> GetBytes(int id) => (uint)id < (uint)Size ? _bytes.AsSpan(_offsets[id].._offsets[id + 1]) : [];

    /// <summary>The bytes that decoding gives for a token of a byte-level vocabulary.</summary>
    public ReadOnlySpan<byte> GetDecodedBytes(int id) =>
        _decoded.Count > 0 && _decoded.TryGetValue(id, out var bytes) ? bytes : GetBytes(id);

    /// <summary>
    /// A token as the decoder takes it, an added one normalised; null for an id without one.
    /// Not kept of byte-level vocabularies, whose tokens are their bytes.
    /// </summary>
    public string? SpellingOf(int id) => (uint)id < (uint)Size ? _spellings![id] : null;

    /// <summary>A token as tokenizer.json has it; null for an id without one.</summary>
    public string? NameOf(int id)
    {
        if (_added.TryGetValue(id, out var content))
        {
            return content;
        }
        if (_spellings is not null)
        {
            return SpellingOf(id);
        }
        var bytes = GetBytes(id);
        return bytes.IsEmpty ? null : ByteLevelAlphabet.Spell(bytes);
    }

    public bool TryGetId(string token, out int id) => _ids.TryGetValue(token, out id);

    /// <summary>Returns whether it is looked for in the text before that is split.</summary>
    public bool IsAdded(int id) => _added.ContainsKey(id);

    /// <summary>Returns whether it is spelled as a byte, <c>&lt;0x0A&gt;</c>, of which characters without a token are made.</summary>
    public bool IsByteFallback(int id) =>
        _spellings is not null && !IsAdded(id) && SpellingOf(id) is { } spelling && TokenDecoder.IsByte(spelling);

    public bool IsSpecial(int id) => (uint)id < (uint)Size && _special[id];

    /// <summary>SHA-256 over the tokens in order of id, each with its length (−1 for an id without a token), then over the rules.</summary>
    static string ComputeHash(byte[]?[] tokens, byte[] rules)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> number = stackalloc byte[4];
        foreach (var token in tokens)
        {
            BinaryPrimitives.WriteInt32LittleEndian(number, token?.Length ?? -1);
            hash.AppendData(number);
            hash.AppendData(token ?? []);
        }

        hash.AppendData(rules);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Merges in order of rank: their ids.</summary>
    static byte[] BytesOf(IReadOnlyList<(int Left, int Right, int Result)> merges)
    {
        var bytes = new byte[merges.Count * 8];
        foreach (var (rank, (left, right, _)) in merges.Index())
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(rank * 8), left);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan((rank * 8) + 4), right);
        }

        return bytes;
    }
}
