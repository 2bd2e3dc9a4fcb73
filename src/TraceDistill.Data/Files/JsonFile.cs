using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Files;

/// <summary>
/// The JSON that this program keeps beside its data: how it is spelled and written, and how
/// it is read back, which damage or another hand may have changed.
/// </summary>
public static class JsonFile
{
    /// <summary>Hundreds of times what the largest of them holds.</summary>
    const int MostBytes = 256 << 20;

    /// <summary>Nothing escaped that JSON does not ask for.</summary>
    public static JsonWriterOptions Plain { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// One line an object: names in snake case, choices as words, NaN and infinities as text, nothing escaped without need.
    /// </summary>
    public static JsonSerializerOptions Line { get; } =
        new()
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        };

    /// <summary>The same indented, for whole files that people open and for standard output.</summary>
    public static JsonSerializerOptions Document { get; } = new(Line) { WriteIndented = true };

    /// <summary>Writes a file whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="value">Object to write; members of a <see cref="System.Text.Json.Nodes.JsonNode"/> keep their names.</param>
    /// <param name="writer">Tells processes that may write the same file at once apart.</param>
    public static void Write<T>(string path, T value, string writer = "") =>
        AtomicFile.WriteAllText(path, JsonSerializer.Serialize(value, Document) + "\n", writer);

    /// <summary>Reads a file that is there.</summary>
    /// <exception cref="JsonException">It does not hold such an object, or null where the type says that there is none.</exception>
    /// <exception cref="InvalidInputException">It is not a file, or too large.</exception>
    public static T Read<T>(string path) => Parse<T>(InputFile.ReadAllBytes(path, MostBytes));

    /// <inheritdoc cref="Read{T}(string)"/>
    public static T Read<T>(string path, JsonTypeInfo<T> type) =>
        Checked(JsonSerializer.Deserialize(InputFile.ReadAllBytes(path, MostBytes), type));

    /// <summary>Reads an object, such as a line of a file.</summary>
    /// <exception cref="JsonException">The text is not such an object, or holds null where the type says that there is none.</exception>
    public static T Parse<T>(ReadOnlySpan<byte> json) => Checked(JsonSerializer.Deserialize<T>(json, Line));

    static T Checked<T>(T? value) =>
        value is null ? throw new JsonException("it is null")
        : UnexpectedNull.Find(value) is { } place ? throw new JsonException($"{place} is null")
        : value;
}
