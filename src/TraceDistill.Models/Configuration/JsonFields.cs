using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Configuration;

/// <summary>The fields of a JSON object in a file; file and field are named where one is absent, ill-typed or there twice.</summary>
sealed class JsonFields
{
    /// <summary>A thousand times what any such file holds.</summary>
    const int MostBytes = 64 << 20;

    readonly JsonObject _json;

    JsonFields(string path, JsonObject json) => (Path, _json) = (path, json);

    public string Path { get; }

    public JsonNode? this[string field] => _json[field];

    /// <summary>Returns whether the field is there, be it null.</summary>
    public bool Has(string field) => _json.ContainsKey(field);

    /// <exception cref="InvalidInputException">The file, which is there, is no JSON object.</exception>
    public static JsonFields Read(string path) => new(path, ReadObject(path));

    /// <summary>The object itself, to be changed.</summary>
    /// <exception cref="InvalidInputException">The file, which is there, is no JSON object.</exception>
    public static JsonObject ReadObject(string path)
    {
        try
        {
            var bytes = InputFile.ReadAllBytes(path, MostBytes);
            Utf8Text.CheckJson(path, bytes);
            return JsonNode.Parse(bytes, documentOptions: Strict) as JsonObject ?? throw new JsonException("the root is not an object");
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{path}: not a JSON object: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <returns>A number that must be there.</returns>
    public int Int(string field) => Optional<int>(field) ?? throw new InvalidInputException($"{Path}: {field} is missing");

    public T? Optional<T>(string field)
        where T : struct => _json[field] is { } node ? Value<T>(field, node) : null;

    /// <param name="field">What messages call it.</param>
    /// <param name="node">Its value.</param>
    public T Value<T>(string field, JsonNode? node)
    {
        try
        {
            return node!.GetValue<T>();
        }
        catch (Exception error) when (error is InvalidOperationException or FormatException or JsonException or NullReferenceException)
        {
            var wanted = typeof(T) == typeof(bool) ? "true or false" : typeof(T) == typeof(int) ? "a whole number of 32 bits" : "a number";
            throw new InvalidInputException($"{Path}: {field} is {Shown(node)}, not {wanted}", error);
        }
    }

    /// <summary>A value that should be a word, in one line; null where there is none.</summary>
    public static string? Word(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue(out string? word) && !word.AsSpan().ContainsAny('\r', '\n') ? word : node is null ? null : Shown(node);

    /// <summary>A value as a message has it: in one line, and not all of it.</summary>
    public static string Shown(JsonNode? node)
    {
        const int Most = 80;
        var text = (node?.ToJsonString() ?? "null").ReplaceLineEndings(" ");
        return text.Length <= Most ? text : text[..Most] + "…";
    }

    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };
}
