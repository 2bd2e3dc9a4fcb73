using System.Text.Json;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Files;

/// <summary>One value of a JSON file that remembers where it stands, so that every complaint names the file and the field.</summary>
/// <param name="index">Of an item: <paramref name="path"/> is then that of its list.</param>
readonly struct JsonField(string file, string path, JsonElement element, int? index = null)
{
    /// <summary>Five times the largest tokenizer.json known.</summary>
    const int MostBytes = 256 << 20;

    public JsonElement Element => element;

    public JsonValueKind Kind => element.ValueKind;

    /// <summary>Reads and parses a file; what is wrong with it is an <see cref="InvalidInputException"/>.</summary>
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

        Utf8Text.Check(file, bytes);
        try
        {
            using var document = JsonDocument.Parse(bytes);
            return new JsonField(file, "", document.RootElement.Clone());
        }
        catch (JsonException malformed)
        {
            throw new InvalidInputException(
                $"{file}, line {malformed.LineNumber + 1}, byte {malformed.BytePositionInLine + 1}: not valid JSON; fetch or export the file again", malformed);
        }
    }

    /// <summary>A field that must be there.</summary>
    public JsonField this[string name] => Find(name) ?? throw Fail($"the field {Join(name)} is missing");

    /// <summary>A field that may be absent or null; both give null.</summary>
    public JsonField? Find(string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw Wrong("an object");
        return element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? new JsonField(file, Join(name), value) : null;
    }

    /// <summary>The names and values of an object, with the same care for text as <see cref="Text"/>.</summary>
    public IEnumerable<(string Name, JsonElement Value)> Entries()
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw Wrong("an object");
        foreach (var entry in element.EnumerateObject())
            yield return (Decode(() => entry.Name)!, entry.Value);
    }

    public IEnumerable<JsonField> Items()
    {
        if (element.ValueKind != JsonValueKind.Array)
            throw Wrong("an array");
        var next = 0;
        foreach (var item in element.EnumerateArray())
            yield return new JsonField(file, Path, item, next++);
    }

    public string Text() => element.ValueKind == JsonValueKind.String ? Decode(element.GetString)! : throw Wrong("a string");

    public int Integer() => element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out var value) ? value : throw Wrong("an integer");

    public bool Boolean() => element.ValueKind is JsonValueKind.True or JsonValueKind.False ? element.GetBoolean() : throw Wrong("true or false");

    public bool Boolean(string name, bool absent) => Find(name)?.Boolean() ?? absent;

    public InvalidInputException Wrong(string expected) => Fail($"{Name} must be {expected}");

    /// <summary>Error about what is well-formed and done by others, but not by the tokenizer here.</summary>
    public UnsupportedTokenizerException Unsupported(string what) =>
        new($"{Place}: {what} is not supported; use a model with a byte-level BPE tokenizer, or one of SentencePiece's kind with byte fallback");

    public InvalidInputException Fail(string message, Exception? inner = null) => new($"{file}: {message}", inner);

    /// <summary>Reads text; an escaped half of a surrogate pair is only found here.</summary>
    string? Decode(Func<string?> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException malformed)
        {
            throw Fail($"{Name} holds text that is not valid Unicode; fetch or export the file again", malformed);
        }
    }

    /// <summary>File and field, for what is found wrong with a value later.</summary>
    public string Place => $"{file}: {Name}";

    /// <summary>The field, for messages.</summary>
    public string Name => Path.Length == 0 ? "the file" : Path;

    /// <summary>Put together when somebody asks: lists have hundreds of thousands of items.</summary>
    string Path => index is { } item ? $"{path}[{item}]" : path;

    string Join(string name) => Path.Length == 0 ? name : $"{Path}.{name}";
}
