using System.Collections.Concurrent;
using System.Text;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Tokenization;

/// <summary>
/// Text to token ids and back, equal to Hugging Face's tokenizers for BPE vocabularies: byte-level ones, and SentencePiece's with byte
/// fallback.
/// Immutable and safe to use from any thread.
/// </summary>
public sealed class Tokenizer
{
    /// <summary>The vocabulary and its rules, in a model directory.</summary>
    public const string FileName = "tokenizer.json";

    /// <summary>The roles of special tokens and the chat template, beside it.</summary>
    public const string SettingsFileName = "tokenizer_config.json";

    /// <summary>Encoders that no call is using: as many as there were calls at once.</summary>
    readonly ConcurrentBag<TextEncoder> _encoders = [];

    /// <summary>Encoders of text that stands within another; null where nothing is ever put before a text.</summary>
    readonly ConcurrentBag<TextEncoder>? _encodersWithin;

    readonly TokenVocabulary _vocabulary;
    readonly Func<bool, TextEncoder> _newEncoder;
    readonly TokenDecoder _decoder;
    readonly PostProcessor _postProcessor;
    readonly Lazy<AddedTokenMatcher> _specials;

    internal Tokenizer(TokenizerDefinition definition, TokenizerSettings settings, string directory)
    {
        _vocabulary = new TokenVocabulary(definition);
        _newEncoder = TextEncoder.FactoryFor(definition);
        _encodersWithin = definition.Normalizer.Prepends || definition.PreTokenizer.Prepends ? [] : null;
        (_decoder, _postProcessor) = (definition.Decoder, definition.PostProcessor);
        var specials = definition.AddedTokens.Where(token => token.Value.Special);
        _specials = new(() => new AddedTokenMatcher(specials.Select(token => (token.Value.Content, token.Key, token.Value))));
        int[] ends = [.. EndOfTurn(), .. settings.GenerationEndIds];
        EndOfSequenceId = ends.Length > 0 ? ends[0] : null;
        EndOfSequenceIds = ends.ToHashSet();
        ChatTemplateSource = settings.ChatTemplate;

        int[] EndOfTurn() => settings.EndOfSequence is not { } token ? []
            : TryGetId(token, out var id) ? [id]
            : throw new InvalidInputException(
                $"{Path.Combine(directory, SettingsFileName)}: eos_token \"{token}\" is not a token of tokenizer.json");
    }

    /// <summary>The highest id + 1. A model's embedding may have more rows than that; the rest is padding.</summary>
    public int VocabularySize => _vocabulary.Size;

    /// <summary>
    /// Identity of the mapping between ids and bytes and of the merges, whatever the file they were read from looks like: 64 hexadecimal
    /// digits.
    /// </summary>
    public string Hash => _vocabulary.Hash;

    /// <summary>
    /// The tokens that end a generation: those of generation_config.json and the tokenizer's own. Empty where neither names one.
    /// </summary>
    public IReadOnlySet<int> EndOfSequenceIds { get; }

    /// <summary>The one of them that a model is taught to write: the tokenizer's own, else the first of generation_config.json.</summary>
    public int? EndOfSequenceId { get; }

    /// <summary>The Jinja source of the model's chat template, where it has one.</summary>
    public string? ChatTemplateSource { get; }

    /// <summary>Reads tokenizer.json and the settings beside it from a model directory.</summary>
    /// <exception cref="InvalidInputException">A file is missing, malformed or of a kind that is not supported.</exception>
    public static Tokenizer Load(string directory) =>
        new(TokenizerFile.Read(Path.Combine(directory, FileName)), TokenizerSettings.Read(directory), directory);

    /// <summary>The ids of a text. Added tokens written in the text are recognised.</summary>
    /// <param name="text">Any text; a lone surrogate counts as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model puts around a text (such as a begin-of-sequence token) are
    /// added.</param>
    public int[] Encode(string text, bool addSpecialTokens = false)
    {
        var ids = new List<int>((text.Length / 3) + 8);
        Encode(text, ids, addSpecialTokens);
        return [.. ids];
    }

    /// <summary>As <see cref="Encode(string, bool)"/>, appending to a list that the caller can use again.</summary>
    public void Encode(string text, List<int> ids, bool addSpecialTokens = false) => Encode(text, ids, addSpecialTokens, recorder: null);

    /// <summary>The ids of a text, as <see cref="Encode(string, bool)"/> gives them, and where in the text each of them stands.</summary>
    public TokenizedText EncodeWithSpans(string text, bool addSpecialTokens = false)
    {
        var (ids, recorder) = (new List<int>((text.Length / 3) + 8), new SpanRecorder(text));
        Encode(text, ids, addSpecialTokens, recorder);
        var (offsets, first) = (recorder.Offsets, addSpecialTokens ? _postProcessor.Prefix.Count : 0);
        for (var i = 0; i < ids.Count; i++)
            offsets[i] = _postProcessor.Trimming?.Trim(offsets[i], GetBytes(ids[i]), _vocabulary.IsAdded(ids[i]), i == first) ?? offsets[i];
        return new TokenizedText { Ids = ids, ByteSpans = recorder.ByteSpans, Offsets = offsets };
    }

    /// <summary>
    /// The ids of a text that follows on another: nothing is put before it, where <see cref="Encode(string, bool)"/> may put a space
    /// (SentencePiece's <c>▁</c>).
    /// </summary>
    public int[] EncodeWithin(string text)
    {
        if (_encodersWithin is null)
            return Encode(text);
        var ids = new List<int>((text.Length / 3) + 8);
        var encoder = _encodersWithin.TryTake(out var idle) ? idle : _newEncoder(true);
        encoder.Encode(text, ids, recorder: null);
        _encodersWithin.Add(encoder);
        return [.. ids];
    }

    /// <summary>
    /// Whether every id of another tokenizer's vocabulary means the same here, and text becomes the same ids: the same vocabulary, or more
    /// tokens behind it.
    /// </summary>
    public bool Extends(Tokenizer other)
    {
        if (Hash == other.Hash)
            return true;
        if (VocabularySize < other.VocabularySize || _vocabulary.MergesHash != other._vocabulary.MergesHash)
            return false;
        for (var id = 0; id < other.VocabularySize; id++)
        {
            if (!GetBytes(id).SequenceEqual(other.GetBytes(id)))
                return false;
        }

        return true;
    }

    /// <summary>Whether something may be put before a text that is encoded.</summary>
    public bool Prepends => _encodersWithin is not null;

    /// <summary>
    /// The text of ids, as Hugging Face's tokenizers decode them (an added token in a byte-level vocabulary's alphabet too). Bytes that are
    /// not valid UTF-8 become U+FFFD; ids without a token give nothing.
    /// </summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = false)
    {
        if (!_decoder.IsByteLevel)
        {
            var tokens = new List<string>(ids.Length);
            foreach (var id in ids)
            {
                if (!(skipSpecialTokens && IsSpecial(id)) && _vocabulary.SpellingOf(id) is { } token)
                    tokens.Add(token);
            }

            return _decoder.Decode(tokens);
        }

        var length = 0;
        foreach (var id in ids)
            length += skipSpecialTokens && IsSpecial(id) ? 0 : _vocabulary.GetDecodedBytes(id).Length;
        var bytes = new byte[length];
        var end = 0;
        foreach (var id in ids)
        {
            if (skipSpecialTokens && IsSpecial(id))
                continue;
            var token = _vocabulary.GetDecodedBytes(id);
            token.CopyTo(bytes.AsSpan(end));
            end += token.Length;
        }

        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>The bytes a token stands for, which need not be whole characters; empty for an id without a token.</summary>
    public ReadOnlySpan<byte> GetBytes(int id) => _vocabulary.GetBytes(id);

    /// <summary>A token as tokenizer.json has it (byte-level: <c>Ġthe</c>); null for an id without a token.</summary>
    public string? NameOf(int id) => _vocabulary.NameOf(id);

    /// <summary>Finds a token by the content of an added token or by its spelling in the vocabulary (byte-level: <c>Ġthe</c>).</summary>
    public bool TryGetId(string token, out int id) => _vocabulary.TryGetId(token, out id);

    /// <summary>Whether the token is spelled as one byte (<c>&lt;0x0A&gt;</c>), of which characters without a token are made.</summary>
    public bool IsByteFallback(int id) => _vocabulary.IsByteFallback(id);

    /// <summary>Whether decoding may leave the token out.</summary>
    public bool IsSpecial(int id) => _vocabulary.IsSpecial(id);

    /// <summary>
    /// The first special token that stands written in a text, so that encoding takes it for the token; null where there is none.
    /// </summary>
    public string? SpecialTokenIn(string text) => _specials.Value.Next(text, 0) is { } match ? NameOf(match.Id) : null;

    void Encode(string text, List<int> ids, bool addSpecialTokens, SpanRecorder? recorder)
    {
        if (addSpecialTokens)
        {
            ids.AddRange(_postProcessor.Prefix);
            recorder?.AddAround(_postProcessor.Prefix.Count, position: 0);
        }

        var encoder = _encoders.TryTake(out var idle) ? idle : _newEncoder(false);
        encoder.Encode(text, ids, recorder);
        _encoders.Add(encoder);
        if (addSpecialTokens)
        {
            ids.AddRange(_postProcessor.Suffix);
            recorder?.AddAround(_postProcessor.Suffix.Count, text.Length);
        }
    }
}
