using System.Text.Json.Nodes;
using TraceDistill.Data.Files;
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
        var json = Read(directory, out _);
        SetEnds(json, known.Order().Prepend(end));
        Write(directory, json);
    }

    /// <summary>
    /// Writes the settings of a model for another tokenizer, or for one that came without any:
    /// what they are, and every token that ends a generation.
    /// </summary>
    /// <param name="directory">Where to.</param>
    /// <param name="modelDirectory">Has settings, or none.</param>
    /// <param name="begin">The token at the beginning; null where there is none.</param>
    /// <param name="ends">Of tokenizer and configuration.</param>
    /// <exception cref="InvalidInputException">The model's are not a JSON object.</exception>
    public static void Write(string directory, string modelDirectory, int? begin, IEnumerable<int> ends)
    {
        var json = Read(modelDirectory, out var own);
        SetEnds(json, ends.Union(own));
        if (begin is { } id)
        {
            json["bos_token_id"] ??= id;
        }

        Write(directory, json);
    }

    static JsonObject Read(string directory, out int[] ends)
    {
        var path = Path.Combine(directory, FileName);
        JsonField? settings = File.Exists(path) ? JsonField.Read(path) : null;
        ends = settings?.Find("eos_token_id")?.Integers() ?? [];
        return settings is { } there ? JsonObject.Create(there.Element)! : [];
    }

    static void SetEnds(JsonObject json, IEnumerable<int> ends)
    {
        int[] ids = [.. ends.Distinct()];
        json["eos_token_id"] = ids.Length == 1 ? ids[0] : new JsonArray([.. ids.Select(id => JsonValue.Create(id))]);
    }

    static void Write(string directory, JsonObject json) => JsonFile.Write(Path.Combine(directory, FileName), json);
}
