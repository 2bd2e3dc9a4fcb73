using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Text to token ids and back, equal to Hugging Face's tokenizers: by rules applied here for BPE vocabularies,
/// byte-level ones and SentencePiece's with byte fallback, and by that library itself for all others.
/// Immutable and safe to use from any thread.
/// </summary>
public sealed class Tokenizer
{
    /// <summary>The vocabulary and its rules, in a model directory.</summary>
    public const string FileName = "tokenizer.json";

    /// <summary>The roles of special tokens and the chat template, beside it.</summary>
    public const string SettingsFileName = TokenizerSettings.FileName;

    readonly TokenVocabulary _vocabulary;
    readonly ITextCoder _coder;
    readonly Lazy<AddedTokenMatcher> _specials;

    Tokenizer(string directory, TokenVocabulary vocabulary, ITextCoder coder, IReadOnlyDictionary<int, AddedToken> addedTokens)
    {
        var settings = TokenizerSettings.Read(directory);
        (_vocabulary, _coder, File) = (vocabulary, coder, Path.Combine(directory, FileName));
        var specials = addedTokens.Where(token => token.Value.Special);
        _specials = new(() => new AddedTokenMatcher(specials.Select(token => (token.Value.Content, token.Key, token.Value))));
        int[] ends = [.. EndOfTurn(), .. settings.GenerationEndIds];
        EndOfSequenceId = ends.Length > 0 ? ends[0] : null;
        EndOfSequenceIds = ends.ToHashSet();
        ChatTemplateSource = settings.ChatTemplate;
        PaddingId = settings.Padding is { } padding && TryGetId(padding, out var pad) ? pad : null;

        int[] EndOfTurn() =>
            settings.EndOfSequence is not { } token ? []
            : TryGetId(token, out var id) ? [id]
            : throw new InvalidInputException(
                $"{Path.Combine(directory, SettingsFileName)}: eos_token \"{token}\" is not a token of tokenizer.json"
            );
    }

    /// <summary>The path of tokenizer.json, for messages.</summary>
    public string File { get; }

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

    /// <summary>The token that texts of one batch are filled up with by other programs; null where none is named.</summary>
    public int? PaddingId { get; }

    /// <summary>The Jinja source of the model's chat template, where it has one.</summary>
    public string? ChatTemplateSource { get; }

    /// <summary>
    /// True where the bytes of tokens, one after the other, are the text that they decode to. Not so where a decoder looks at more than
    /// one token, as
    /// WordPiece's does: <see cref="GetBytes"/> is then how each token reads behind another.
    /// </summary>
    public bool HasExactBytes => _coder.HasExactBytes;

    /// <summary>
    /// Reads tokenizer.json and the settings beside it from a model directory. What this library does not do itself (Unigram,
    /// WordPiece, rarer steps) is done by Hugging Face's tokenizers, in a process of their own that lasts as long as this one.
    /// </summary>
    /// <exception cref="InvalidInputException">A file is missing or malformed, or of a kind that none of the two read.</exception>
    public static Tokenizer Load(string directory) => Load(directory, HostedTokenizer.Of);

    /// <param name="directory">A model directory.</param>
    /// <param name="host">Gives the tokenizer of a file that is not read here.</param>
    internal static Tokenizer Load(string directory, Func<string, UnsupportedTokenizerException, HostedTokenizer> host)
    {
        var file = Path.Combine(directory, FileName);
        try
        {
            return Of(directory, TokenizerFile.Read(file));
        }
        catch (UnsupportedTokenizerException unsupported)
        {
            var hosted = host(file, unsupported);
            return new Tokenizer(directory, hosted.Vocabulary, new HostedCoder(hosted, file), hosted.AddedTokens);
        }
    }

    /// <summary>The tokenizer of a directory whose tokenizer.json has been read.</summary>
    internal static Tokenizer Of(string directory, TokenizerDefinition definition)
    {
        var vocabulary = new TokenVocabulary(definition);
        return new Tokenizer(directory, vocabulary, new OwnCoder(definition, vocabulary), definition.AddedTokens);
    }

    /// <summary>The ids of a text. Added tokens written in the text are recognised.</summary>
    /// <param name="text">Any text; a lone surrogate counts as U+FFFD.</param>
    /// <param name="addSpecialTokens">True where the tokens that the model puts around a text (such as a begin-of-sequence token) are
    /// added.</param>
    public int[] Encode(string text, bool addSpecialTokens = false)
    {
        var ids = new List<int>((text.Length / 3) + 8);
        Encode(text, ids, addSpecialTokens);
        return [.. ids];
    }

    /// <summary>As <see cref="Encode(string, bool)"/>, appending to a list that the caller can use again.</summary>
    public void Encode(string text, List<int> ids, bool addSpecialTokens = false) => _coder.Encode(text, ids, addSpecialTokens);

    /// <summary>The ids of a text, as <see cref="Encode(string, bool)"/> gives them, and where in the text each of them stands.</summary>
    /// <exception cref="InvalidInputException">
    /// That cannot be told: the tokenizer writes the text as another, and gives no offsets.
    /// </exception>
    public TokenizedText EncodeWithSpans(string text, bool addSpecialTokens = false) =>
        FindSpans(text, addSpecialTokens)
        ?? throw new InvalidInputException(
            $"{File}: it changes texts before they are split, so that the positions "
                + "of their tokens are not known; use a tokenizer that keeps texts unchanged"
        );

    /// <summary>As <see cref="EncodeWithSpans"/>; null where the places cannot be told.</summary>
    public TokenizedText? FindSpans(string text, bool addSpecialTokens = false) => _coder.EncodeWithSpans(text, addSpecialTokens);

    /// <summary>
    /// The ids of a text that follows on another: nothing is put before it, where <see cref="Encode(string, bool)"/> may put a space
    /// (SentencePiece's <c>▁</c>).
    /// </summary>
    public int[] EncodeWithin(string text) => _coder.EncodeWithin([text])[0];

    /// <summary>As <see cref="EncodeWithin(string)"/>, of many texts at once.</summary>
    public int[][] EncodeWithin(IReadOnlyList<string> texts) => _coder.EncodeWithin(texts);

    /// <summary>
    /// Returns whether every id of another tokenizer's vocabulary means the same here, and text becomes the same ids: the same vocabulary,
    /// or more
    /// tokens behind it.
    /// </summary>
    public bool Extends(Tokenizer other)
    {
        if (Hash == other.Hash)
        {
            return true;
        }
        if (VocabularySize < other.VocabularySize || _vocabulary.MergesHash != other._vocabulary.MergesHash)
        {
            return false;
        }
        for (var id = 0; id < other.VocabularySize; id++)
        {
            if (!GetBytes(id).SequenceEqual(other.GetBytes(id)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>True where something may be put before a text that is encoded.</summary>
    public bool Prepends => _coder.Prepends;

    /// <summary>
    /// The text of ids, as Hugging Face's tokenizers decode them (an added token in a byte-level vocabulary's alphabet too). Bytes that are
    /// not valid UTF-8 become U+FFFD; ids without a token give nothing.
    /// </summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = false) => _coder.Decode(ids, skipSpecialTokens);

    /// <summary>The bytes a token stands for, which need not be whole characters; empty for an id without a token.</summary>
    public ReadOnlySpan<byte> GetBytes(int id) => _vocabulary.GetBytes(id);

    /// <summary>A token as tokenizer.json has it (byte-level: <c>Ġthe</c>); null for an id without a token.</summary>
    public string? NameOf(int id) => _vocabulary.NameOf(id);

    /// <summary>Finds a token by the content of an added token or by its spelling in the vocabulary (byte-level: <c>Ġthe</c>).</summary>
    public bool TryGetId(string token, out int id) => _vocabulary.TryGetId(token, out id);

    /// <summary>
    /// Returns whether the token is spelled as one byte (<c>&lt;0x0A&gt;</c>), of which characters without a token are made.
    /// </summary>
    public bool IsByteFallback(int id) => _vocabulary.IsByteFallback(id);

    /// <summary>Returns whether decoding may leave the token out.</summary>
    public bool IsSpecial(int id) => _vocabulary.IsSpecial(id);

    /// <summary>
    /// The first special token that stands written in a text, so that encoding takes it for the token; null where there is none.
    /// </summary>
    public string? SpecialTokenIn(string text) => _specials.Value.Next(text, 0) is { } match ? NameOf(match.Id) : null;
}
