using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Files;

/// <summary>Reads the JSON files that this program keeps beside its data, which damage or another hand may have changed.</summary>
public static class JsonFile
{
    /// <summary>Hundreds of times what the largest of them holds.</summary>
    const int MostBytes = 256 << 20;

    /// <summary>Reads a file that is there.</summary>
    /// <exception cref="JsonException">It does not hold such an object, or null where the type says that there is none.</exception>
    /// <exception cref="InvalidInputException">It is no file, or too large.</exception>
    public static T Read<T>(string path, JsonSerializerOptions? options = null) => Parse<T>(InputFile.ReadAllBytes(path, MostBytes), options);

    /// <inheritdoc cref="Read{T}(string, JsonSerializerOptions?)"/>
    public static T Read<T>(string path, JsonTypeInfo<T> type) => Checked(JsonSerializer.Deserialize(InputFile.ReadAllBytes(path, MostBytes), type));

    /// <summary>Reads an object, such as a line of a file.</summary>
    /// <exception cref="JsonException">The text is no such object, or holds null where the type says that there is none.</exception>
    public static T Parse<T>(ReadOnlySpan<byte> json, JsonSerializerOptions? options = null) => Checked(JsonSerializer.Deserialize<T>(json, options));

    static T Checked<T>(T? value) => value is null ? throw new JsonException("it is null")
        : UnexpectedNull.Find(value) is { } place ? throw new JsonException($"{place} is null")
        : value;
}
