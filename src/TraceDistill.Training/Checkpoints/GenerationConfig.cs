using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;

namespace TraceDistill.Training.Checkpoints;

/// <summary>A model directory's <c>generation_config.json</c>.</summary>
static class GenerationConfig
{
    public const string FileName = "generation_config.json";

    /// <summary>Puts a token first among those that end a generation, before the ones that the directory's files name.</summary>
    /// <exception cref="InvalidInputException">The file is there and not a JSON object.</exception>
    public static void AddEnd(string directory, int end, IEnumerable<int> known)
    {
        var path = Path.Combine(directory, FileName);
        try
        {
            var json = File.Exists(path) ? JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject ?? throw new JsonException("the root is not an object") : [];
            json["eos_token_id"] = new JsonArray([.. known.Order().Prepend(end).Distinct().Select(id => JsonValue.Create(id))]);
            AtomicFile.WriteAllText(path, json.ToJsonString(Indented) + "\n");
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{path}: not a JSON object: {error.Message}", error);
        }
    }

    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };
}
