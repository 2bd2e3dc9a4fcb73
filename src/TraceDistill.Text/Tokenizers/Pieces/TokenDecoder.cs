using System.Globalization;
using System.Text;
using TraceDistill.Text.Files;
using TraceDistill.Text.Tokenizers.Normalizers;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>Conversion of tokens back to text: the <c>decoder</c> field of tokenizer.json.</summary>
sealed class TokenDecoder
{
    readonly List<Func<List<string>, List<string>>> _steps = [];
    readonly List<TextChange> _replacements = [];

    /// <summary>
    /// True where tokens are spelled in <see cref="ByteLevelAlphabet"/>, so that text is their bytes one after the other and nothing else.
    /// </summary>
    public bool IsByteLevel { get; private init; }

    public static TokenDecoder Read(JsonField field)
    {
        var parts = Flatten(field).ToList();
        if (parts.All(part => part["type"].Text() == "ByteLevel"))
        {
            return new TokenDecoder { IsByteLevel = true };
        }
        var decoder = new TokenDecoder();
        parts.ForEach(decoder.Add);
        return decoder;
    }

    /// <summary>The text of tokens, spelled as the vocabulary has them.</summary>
    public string Decode(List<string> tokens) => string.Concat(_steps.Aggregate(tokens, (list, step) => step(list)));

    /// <summary>The bytes of one token within a text, wherever it stands.</summary>
    public byte[] BytesOf(string token) =>
        IsByteLevel ? ByteLevelAlphabet.ToBytes(token)
        : ByteOf(token) is { } value ? [value]
        : Encoding.UTF8.GetBytes(_replacements.Aggregate(token, (text, replace) => replace(text, null)));

    /// <summary>A vocabulary's spelling of a byte that is no whole character: <c>&lt;0x0A&gt;</c>.</summary>
    public static string SpellByte(byte value) => $"<0x{value:X2}>";

    /// <summary>Returns whether a spelling is that of a byte.</summary>
    public static bool IsByte(string spelling) => ByteOf(spelling) is not null;

    static byte? ByteOf(string token) =>
        token.Length == 6
        && token.StartsWith("<0x", StringComparison.Ordinal)
        && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;

    static IEnumerable<JsonField> Flatten(JsonField field) =>
        field["type"].Text() == "Sequence" ? field["decoders"].Items().SelectMany(Flatten) : [field];

    void Add(JsonField field)
    {
        var type = field["type"];
        switch (type.Text())
        {
            case "Replace":
                var replace = TextNormalizer.Replacement(field);
                _replacements.Add(replace);
                _steps.Add(tokens => tokens.ConvertAll(token => replace(token, null)));
                break;
            case "Metaspace":
                AddMetaspace(field);
                break;
            case "ByteFallback":
                _steps.Add(JoinBytes);
                break;
            case "Fuse":
                _steps.Add(tokens => [string.Concat(tokens)]);
                break;
            case "Strip":
                var (content, start, stop) = (field["content"].Text(), field["start"].Integer(), field["stop"].Integer());
                if (content.Length != 1)
                {
                    throw field["content"].Wrong("one character");
                }
                _steps.Add(tokens => tokens.ConvertAll(token => Strip(token, content[0], start, stop)));
                break;
            default:
                throw type.Unsupported($"a {type.Text()} decoder");
        }
    }

    /// <summary>Marks are spaces, but in the first token nothing, where one is put before texts.</summary>
    void AddMetaspace(JsonField field)
    {
        var mark = field["replacement"].Text();
        var keepsFirst = field.Find("prepend_scheme")?.Text() == "never" || !field.Boolean("add_prefix_space", absent: true);
        _replacements.Add((text, _) => text.Replace(mark, " ", StringComparison.Ordinal));
        _steps.Add(tokens =>
            [.. tokens.Select((token, index) => token.Replace(mark, index > 0 || keepsFirst ? " " : "", StringComparison.Ordinal))]
        );
    }

    /// <summary>A run of byte tokens is the text that its bytes spell or, where they spell none, as many U+FFFD.</summary>
    static List<string> JoinBytes(List<string> tokens)
    {
        var (result, run) = (new List<string>(tokens.Count), new List<byte>());
        foreach (var token in tokens)
        {
            if (ByteOf(token) is { } value)
            {
                run.Add(value);
                continue;
            }

            Flush();
            result.Add(token);
        }

        Flush();
        return result;

        void Flush()
        {
            if (run.Count == 0)
            {
                return;
            }
            byte[] bytes = [.. run];
            result.Add(System.Text.Unicode.Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : new string('\uFFFD', bytes.Length));
            run.Clear();
        }
    }

    static string Strip(string token, char content, int start, int stop)
    {
        var (first, end) = (0, token.Length);
        while (first < Math.Min(start, token.Length) && token[first] == content)
        {
            first++;
        }
        while (end > first && token.Length - end < stop && token[end - 1] == content)
        {
            end--;
        }
        return token[first..end];
    }
}
