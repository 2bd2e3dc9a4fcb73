using System.Text;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Tokenization;

/// <summary>
/// Text to token ids and back, equal to Hugging Face's tokenizers for BPE vocabularies: byte-level ones, and SentencePiece's with byte fallback.
/// Immutable and safe to use from any thread.
/// </summary>
public sealed class Tokenizer
{
    /// <summary>The vocabulary and its rules, in a model directory.</summary>
    public const string FileName = "tokenizer.json";

    /// <summary>The roles of special tokens and the chat template, beside it.</summary>
    public const string SettingsFileName = "tokenizer_config.json";

    /// <summary>The pieces of the text at hand, kept between calls to save the allocation.</summary>
    [ThreadStatic]
    static List<Piece>? _scratch;

    readonly TokenVocabulary _vocabulary;
    readonly PieceEncoder _encoder;
    readonly PreTokenizer _preTokenizer;
    readonly AddedTokenMatcher _rawTokens;
    readonly AddedTokenMatcher _normalizedTokens;
    readonly TextNormalizer _normalizer;
    readonly TokenDecoder _decoder;
    readonly PostProcessor _postProcessor;

    Tokenizer(TokenizerDefinition definition, TokenizerSettings settings, string directory)
    {
        _vocabulary = new TokenVocabulary(definition);
        _encoder = new PieceEncoder(definition);
        _preTokenizer = definition.PreTokenizer;
        _rawTokens = Matcher(normalized: false);
        _normalizedTokens = Matcher(normalized: true);
        (_normalizer, _decoder) = (definition.Normalizer, definition.Decoder);
        _postProcessor = definition.PostProcessor;
        int[] ends = [.. EndOfTurn(), .. settings.GenerationEndIds];
        EndOfSequenceId = ends.Length > 0 ? ends[0] : null;
        EndOfSequenceIds = ends.ToHashSet();
        ChatTemplateSource = settings.ChatTemplate;

        AddedTokenMatcher Matcher(bool normalized) => new(definition.AddedTokens.Where(token => token.Value.Normalized == normalized)
            .Select(token => (normalized ? definition.Normalizer.Normalize(token.Value.Content) : token.Value.Content, token.Key, token.Value)));

        int[] EndOfTurn() => settings.EndOfSequence is not { } token ? [] : TryGetId(token, out var id) ? [id] : throw new InvalidInputException(
            $"{Path.Combine(directory, SettingsFileName)}: eos_token \"{token}\" is not a token of tokenizer.json");
    }

    /// <summary>The highest id + 1. A model's embedding may have more rows than that; the rest is padding.</summary>
    public int VocabularySize => _vocabulary.Size;

    /// <summary>
    /// Identity of the mapping between ids and bytes and of the merges, whatever the file they were read from looks like: 64 hexadecimal digits.
    /// </summary>
    public string Hash => _vocabulary.Hash;

    /// <summary>The tokens that end a generation: those of generation_config.json and the tokenizer's own. Empty where neither names one.</summary>
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
    /// <param name="addSpecialTokens">Whether the tokens that the model puts around a text (such as a begin-of-sequence token) are added.</param>
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

    /// <summary>The text of ids. Bytes that are not valid UTF-8 become U+FFFD; ids without a token give nothing.</summary>
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
            length += skipSpecialTokens && IsSpecial(id) ? 0 : GetBytes(id).Length;
        var bytes = new byte[length];
        var end = 0;
        foreach (var id in ids)
        {
            if (skipSpecialTokens && IsSpecial(id))
                continue;
            var token = GetBytes(id);
            token.CopyTo(bytes.AsSpan(end));
            end += token.Length;
        }

        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>The bytes a token stands for, which need not be whole characters; empty for an id without a token.</summary>
    public ReadOnlySpan<byte> GetBytes(int id) => _vocabulary.GetBytes(id);

    /// <summary>Finds a token by the content of an added token or by its spelling in the vocabulary (byte-level: <c>Ġthe</c>).</summary>
    public bool TryGetId(string token, out int id) => _vocabulary.TryGetId(token, out id);

    /// <summary>Whether decoding may leave the token out.</summary>
    public bool IsSpecial(int id) => _vocabulary.IsSpecial(id);

    void Encode(string text, List<int> ids, bool addSpecialTokens, SpanRecorder? recorder)
    {
        if (addSpecialTokens)
        {
            ids.AddRange(_postProcessor.Prefix);
            recorder?.AddAround(_postProcessor.Prefix.Count, position: 0);
        }

        var start = 0;
        while (_rawTokens.Next(text, start) is { } match)
        {
            EncodeSection(start, match.Start);
            ids.Add(match.Id);
            recorder?.AddMatch(recorder.Align(match.Start, match.End));
            start = match.End;
        }

        EncodeSection(start, text.Length);
        if (addSpecialTokens)
        {
            ids.AddRange(_postProcessor.Suffix);
            recorder?.AddAround(_postProcessor.Suffix.Count, text.Length);
        }

        void EncodeSection(int start, int end)
        {
            if (start == end)
                return;
            var alignment = recorder?.Align(start, end);
            EncodeNormalized(_normalizer.Normalize(text[start..end], alignment), alignment, ids, recorder, isStart: start == 0);
        }
    }

    void EncodeNormalized(ReadOnlySpan<char> text, TextAlignment? alignment, List<int> ids, SpanRecorder? recorder, bool isStart)
    {
        var start = 0;
        while (_normalizedTokens.Next(text, start) is { } match)
        {
            EncodePlain(text[start..match.Start], alignment?.Slice(start, match.Start), ids, recorder, isStart && start == 0);
            ids.Add(match.Id);
            recorder?.AddMatch(alignment!.Slice(match.Start, match.End));
            start = match.End;
        }

        EncodePlain(text[start..], alignment?.Slice(start, text.Length), ids, recorder, isStart && start == 0);
    }

    void EncodePlain(ReadOnlySpan<char> text, TextAlignment? alignment, List<int> ids, SpanRecorder? recorder, bool isStart)
    {
        if (text.IsEmpty)
            return;
        if (_preTokenizer.AddPrefixSpace && text[0] != ' ')
        {
            text = string.Concat(" ", text);
            alignment?.Prepend(1);
        }

        if (_preTokenizer.Metaspace is { } metaspace)
            text = metaspace.Apply(text, isStart, alignment);
        var pieces = _scratch ??= new List<Piece>(256);
        _preTokenizer.Split(text, pieces);
        foreach (var piece in pieces)
        {
            var tokens = _encoder.Encode(text.Slice(piece.Start, piece.Length));
            foreach (var token in tokens)
                ids.Add(token.Id);
            recorder?.AddPiece(text, alignment!, piece.Start, tokens);
        }
    }
}
