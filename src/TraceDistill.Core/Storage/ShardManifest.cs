using System.Text.Json;
using System.Text.Json.Serialization;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Storage;

/// <summary>
/// <c>manifest.json</c>: what a data set holds and of which files it consists. It is written last, so a directory that has one is complete.
/// </summary>
public sealed record ShardManifest
{
    public const string FileName = "manifest.json";

    /// <summary>Raised when a reader of the previous format could no longer read a shard.</summary>
    public const int CurrentFormatVersion = 1;

    public int FormatVersion { get; init; } = CurrentFormatVersion;

    public required DatasetDescription Dataset { get; init; }

    public required SoftTargetLayout Layout { get; init; }

    /// <summary>Traces in all shards.</summary>
    public required long Rows { get; init; }

    /// <summary>Generated tokens in all shards.</summary>
    public required long Tokens { get; init; }

    /// <summary>Size of all shards on disk.</summary>
    public required long Bytes { get; init; }

    public required IReadOnlyList<ShardEntry> Shards { get; init; }

    /// <summary>Writes <c>manifest.json</c> into <paramref name="directory"/>, whole or not at all.</summary>
    public void Save(string directory) =>
        AtomicFile.WriteAllText(Path.Combine(directory, FileName), JsonSerializer.Serialize(this, StorageJson.Default.ShardManifest) + "\n");

    /// <summary>Reads the manifest of a data set; null where the directory has none.</summary>
    /// <exception cref="InvalidInputException">The file is not a manifest, or of a later format.</exception>
    public static ShardManifest? Load(string directory)
    {
        var path = Path.Combine(directory, FileName);
        if (!File.Exists(path))
            return null;

        ShardManifest manifest;
        try
        {
            manifest = JsonSerializer.Deserialize(File.ReadAllBytes(path), StorageJson.Default.ShardManifest)
                ?? throw new InvalidInputException($"{path}: holds null instead of a manifest; collect the traces again or restore the file");
        }
        catch (JsonException error)
        {
            throw new InvalidInputException(
                $"{path}, line {error.LineNumber + 1 ?? 1}, {error.Path ?? "$"}: not a manifest; restore the file, or delete it to read the shards as they are", error);
        }

        return manifest.FormatVersion == CurrentFormatVersion
            ? manifest
            : throw new InvalidInputException(
                $"{path}: format_version is {manifest.FormatVersion}, and this program reads {CurrentFormatVersion}; use the version that wrote it");
    }
}

/// <summary>One shard of a data set.</summary>
/// <param name="File">File name within the directory.</param>
/// <param name="Rows">Traces in it.</param>
/// <param name="Tokens">Generated tokens in it.</param>
/// <param name="Bytes">Its size on disk.</param>
/// <param name="Sha256">SHA-256 of the file, in lower-case hexadecimal digits.</param>
public sealed record ShardEntry(string File, long Rows, long Tokens, long Bytes, string Sha256);
