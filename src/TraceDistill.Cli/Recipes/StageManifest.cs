using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>An input that a stage read.</summary>
/// <param name="Reference">As it stands in the recipe.</param>
/// <param name="Digest">Of its content.</param>
/// <param name="Files">Empty for what another stage made, whose own manifest has them.</param>
sealed record InputRecord(string Key, string Reference, string Digest, IReadOnlyList<FileDigest> Files);

/// <summary><c>stage.json</c>: says that a stage's folder is complete, what it was made from, and what it cost.</summary>
sealed record StageManifest
{
    public const string FileName = "stage.json";

    public required string Stage { get; init; }

    public required string Verb { get; init; }

    /// <summary>Digest over the program's version, the verb, its options and the contents of its inputs.</summary>
    public required string Fingerprint { get; init; }

    public required string ProgramVersion { get; init; }

    /// <summary>When the last attempt began; null in runs of older versions.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    public required DateTimeOffset FinishedAt { get; init; }

    /// <summary>Time spent, that of interrupted attempts included.</summary>
    public required double Seconds { get; init; }

    /// <summary>The most memory its process held at once during the last attempt.</summary>
    public required long PeakMemoryBytes { get; init; }

    public required IReadOnlyList<InputRecord> Inputs { get; init; }

    public required IReadOnlyList<FileDigest> Outputs { get; init; }

    /// <summary>The verb's summary of its result.</summary>
    public required JsonNode? Summary { get; init; }

    /// <summary>Reads the manifest of a stage's folder.</summary>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="InvalidInputException">The file is damaged.</exception>
    public static StageManifest? Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            var manifest = JsonFile.Read<StageManifest>(path);
            return manifest.Outputs.All(file => IsBelow(file.Name)) ? manifest : throw new JsonException("a file outside its folder");
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(
                $"{path}: not a stage manifest ({exception.Message.ReplaceLineEndings(" ")}); "
                    + "restore the file, or delete its folder to make the stage again",
                exception
            );
        }
    }

    public void Write(string folder) => JsonFile.Write(Path.Combine(folder, FileName), this);

    /// <summary>
    /// True where the stage stopped before it had all it wants, such as when its budget was spent: each run goes on with it as far as it
    /// may.
    /// </summary>
    public bool IsUnfinished => Summary is JsonObject summary && summary["stopped_by"] is not null;

    /// <summary>Returns whether the stage need not run: it was made from the same, lacks nothing, and its files are there.</summary>
    public bool IsCurrent(string fingerprint, string folder) => Fingerprint == fingerprint && !IsUnfinished && IsWhole(folder);

    /// <summary>Returns whether a name is that of a file below a folder, and not of one elsewhere.</summary>
    static bool IsBelow(string name) =>
        name.Length > 0 && !name.Contains('\0', StringComparison.Ordinal) && !Path.IsPathRooted(name) && !name.Split('/').Contains("..");

    /// <summary>Returns whether all files are still there with the sizes they had.</summary>
    public bool IsWhole(string folder) =>
        Outputs.All(file => new FileInfo(Path.Combine(folder, file.Name)) is { Exists: true } info && info.Length == file.Bytes);
}
