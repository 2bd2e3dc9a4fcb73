using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Evaluation;

/// <summary>
/// Speed at which a model answered. Measured, so it stands in a file of its own, beside the figures that repeat to the bit.
/// </summary>
/// <param name="Tokens">Tokens generated.</param>
/// <param name="Seconds">Wall-clock time they took.</param>
public sealed record GenerationSpeed(long Tokens, double Seconds)
{
    /// <summary>The file's name in the stage's folder.</summary>
    public const string FileName = "speed.json";

    /// <summary>Known speeds by model; empty where the file is absent.</summary>
    public static IReadOnlyDictionary<string, GenerationSpeed> Read(string folder) => ReadFile(Path.Combine(folder, FileName));

    /// <summary>Adds what another part of an evaluation took: an interrupted one is measured in parts.</summary>
    internal static void Add(string folder, string model, GenerationSpeed part)
    {
        var path = Path.Combine(folder, FileName);
        var known = ReadFile(path);
        var before = known.GetValueOrDefault(model) ?? new GenerationSpeed(0, 0);
        known[model] = new GenerationSpeed(before.Tokens + part.Tokens, before.Seconds + part.Seconds);
        JsonFile.Write(path, known);
    }

    /// <exception cref="InvalidInputException">The file is no such record.</exception>
    static SortedDictionary<string, GenerationSpeed> ReadFile(string path)
    {
        try
        {
            return File.Exists(path) ? JsonFile.Read<SortedDictionary<string, GenerationSpeed>>(path) : [];
        }
        catch (JsonException error)
        {
            throw new InvalidInputException(
                $"{path}: is not the record of how fast models answered; delete it, or run the evaluation again",
                error
            );
        }
    }
}
