using System.Text.Encodings.Web;
using System.Text.Json;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Files;

/// <summary>A value in a JSON file that somebody else wrote, with its place, so that every error names the file and the field.</summary>
/// <param name="file">The file.</param>
/// <param name="parent">The object or list that it is in, as in <c>model.vocab</c>; empty for the file's root and its members.</param>
/// <param name="element">The value.</param>
/// <param name="member">Its name in an object; null for the root, and for an item.</param>
/// <param name="index">Its place in a list, from 0; null for what is no item.</param>
readonly struct JsonField(string file, string parent, JsonElement element, string? member = null, int? index = null)
{
    /// <summary>Five times the largest tokenizer.json known.</summary>
    const int MostBytes = 256 << 20;

    /// <summary>Characters of a value in a message.</summary>
    const int MostShown = 80;

    /// <summary>Programs take either of two fields of one name: none is guessed at.</summary>
    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public JsonElement Element => element;

    public JsonValueKind Kind => element.ValueKind;

    /// <summary>Reads and parses a file.</summary>
    /// <exception cref="InvalidInputException">It is absent, unreadable, not JSON, or has a field twice.</exception>
    public static JsonField Read(string file)
    {
        byte[] bytes;
        try
        {
            bytes = InputFile.ReadAllBytes(file, MostBytes);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException($"{file} does not exist: name a model directory that holds it", missing);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{file} cannot be read: {unreadable.Message}", unreadable);
        }

        try
        {
            Utf8Text.CheckJson(file, bytes);
            using var document = JsonDocument.Parse(bytes, Strict);
            return new JsonField(file, "", document.RootElement.Clone());
        }
        catch (JsonException malformed)
        {
            throw new InvalidInputException(
                malformed.LineNumber is { } line
                    ? $"{file}, line {line + 1}, byte {malformed.BytePositionInLine + 1}: not valid JSON; fetch or export the file again"
                    : $"{file}: not valid JSON: {malformed.Message.ReplaceLineEndings(" ")}",
                malformed
            );
        }
    }

    /// <summary>A field that must be there.</summary>
    public JsonField this[string name] => Find(name) ?? throw Fail($"the field {(Path.Length == 0 ? name : $"{Path}.{name}")} is missing");

    /// <summary>A field that may be absent or null; both give null.</summary>
    public JsonField? Find(string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Wrong("an object");
        }

        return element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? new JsonField(file, Path, value, name)
            : null;
    }

    /// <summary>Returns whether an object has the field, even if it is null.</summary>
    public bool Has(string name) =>
        element.ValueKind == JsonValueKind.Object ? element.TryGetProperty(name, out _) : throw Wrong("an object");

    /// <summary>The names and values of an object.</summary>
    public IEnumerable<(string Name, JsonField Value)> Entries()
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Wrong("an object");
        }

        var path = Path;
        foreach (var entry in element.EnumerateObject())
        {
            var name = entry.Name;
            yield return (name, new JsonField(file, path, entry.Value, name));
        }
    }

    public IEnumerable<JsonField> Items()
    {
        if (element.ValueKind != JsonValueKind.Array)
        {
            throw Wrong("an array");
        }

        var (path, next) = (Path, 0);
        foreach (var item in element.EnumerateArray())
        {
            yield return new JsonField(file, path, item, index: next++);
        }
    }

    public string Text() => element.ValueKind == JsonValueKind.String ? element.GetString()! : throw Wrong("a string");

    /// <summary>Text of one line; of any other value what messages show.</summary>
    public string Word() =>
        element.ValueKind == JsonValueKind.String && element.GetString()! is var text && !text.AsSpan().ContainsAny('\r', '\n')
            ? text
            : Shown;

    public int Integer() =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out var value) ? value : throw Wrong("a 32-bit integer");

    /// <summary>An integer, or each of a list of them.</summary>
    public int[] Integers() => element.ValueKind == JsonValueKind.Array ? [.. Items().Select(item => item.Integer())] : [Integer()];

    public double Number() => element.ValueKind == JsonValueKind.Number ? element.GetDouble() : throw Wrong("a number");

    public bool Boolean() =>
        element.ValueKind is JsonValueKind.True or JsonValueKind.False ? element.GetBoolean() : throw Wrong("true or false");

    public bool Boolean(string name, bool absent) => Find(name)?.Boolean() ?? absent;

    public InvalidInputException Wrong(string expected) => Fail($"{Name} is {Shown} but must be {expected}");

    /// <summary>Error about what is well-formed and done by others, but not by the tokenizer here.</summary>
    public UnsupportedTokenizerException Unsupported(string what) =>
        new(
            $"{Place}: {what} is not supported; use a model with a byte-level "
                + "BPE tokenizer, or one of SentencePiece's kind with byte fallback"
        );

    public InvalidInputException Fail(string message, Exception? inner = null) => new($"{file}: {message}", inner);

    /// <summary>File and field, for what is found wrong with a value later.</summary>
    public string Place => $"{file}: {Name}";

    /// <summary>The field, for messages.</summary>
    public string Name => Path.Length == 0 ? "the file" : Path.ReplaceLineEndings(" ");

    /// <summary>The value as messages show it: in one line, and its beginning alone where it is long.</summary>
    public string Shown
    {
        get
        {
            var text = JsonSerializer.Serialize(element, Readable).ReplaceLineEndings(" ");
            return text.Length <= MostShown ? text : text[..MostShown] + "…";
        }
    }

    /// <summary>Put together only when it is needed: lists have hundreds of thousands of items.</summary>
    string Path =>
        index is { } item ? $"{parent}[{item}]"
        : member is null || parent.Length == 0 ? member ?? ""
        : $"{parent}.{member}";
}
