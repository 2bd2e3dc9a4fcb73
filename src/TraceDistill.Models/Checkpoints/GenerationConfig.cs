using System.Text.Json.Nodes;
using TraceDistill.Data.Files;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Checkpoints;

/// <summary>A model directory's <c>generation_config.json</c>.</summary>
static class GenerationConfig
{
    public const string FileName = "generation_config.json";

    /// <summary>Puts a token first among those that end a generation, before the ones that the directory's files name.</summary>
    /// <exception cref="InvalidInputException">The file is there and not a JSON object.</exception>
    public static void AddEnd(string directory, int end, IEnumerable<int> known)
    {
        var json = Read(directory);
        SetEnds(json, known.Order().Prepend(end));
        Write(directory, json);
    }

    /// <summary>Writes the settings of a model for another tokenizer, or for one that came without any: what they are, and every token that ends a generation.</summary>
    /// <param name="directory">Where to.</param>
    /// <param name="modelDirectory">Has settings, or none.</param>
    /// <param name="begin">The token at the beginning; null where there is none.</param>
    /// <param name="ends">Of tokenizer and configuration.</param>
    /// <exception cref="InvalidInputException">The model's are not a JSON object.</exception>
    public static void Write(string directory, string modelDirectory, int? begin, IEnumerable<int> ends)
    {
        var json = Read(modelDirectory);
        int[] own = json["eos_token_id"] switch
        {
            JsonArray many => [.. many.Select(Id)],
            { } one => [Id(one)],
            null => [],
        };
        SetEnds(json, ends.Union(own));
        if (begin is { } id)
        {
            json["bos_token_id"] ??= id;
        }

        Write(directory, json);

        int Id(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int id)
            ? id
            : throw new InvalidInputException($"{Path.Combine(modelDirectory, FileName)}: eos_token_id is neither a number nor a list of numbers");
    }

    static JsonObject Read(string directory) => Path.Combine(directory, FileName) is var path && File.Exists(path) ? JsonFields.ReadObject(path) : [];

    static void SetEnds(JsonObject json, IEnumerable<int> ends)
    {
        int[] ids = [.. ends.Distinct()];
        json["eos_token_id"] = ids.Length == 1 ? ids[0] : new JsonArray([.. ids.Select(id => JsonValue.Create(id))]);
    }

    static void Write(string directory, JsonObject json) => JsonFile.Write(Path.Combine(directory, FileName), json);
}
