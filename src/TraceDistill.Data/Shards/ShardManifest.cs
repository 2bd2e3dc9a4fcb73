using System.Text.Json;
using System.Text.Json.Serialization;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>
/// <c>manifest.json</c>: what a data set holds and of which files it consists. It is written last, so a directory that has one is complete.
/// </summary>
public sealed record ShardManifest
{
    public const string FileName = "manifest.json";

    /// <summary>Raised when a reader of the previous format could no longer read a shard; all earlier ones are read.</summary>
    public const int CurrentFormatVersion = AnswerInMessages;

    /// <summary>From this version on <c>messages</c> ends with the assistant's turn.</summary>
    public const int AnswerInMessages = 2;

    public int FormatVersion { get; init; } = CurrentFormatVersion;

    public required DatasetDescription Dataset { get; init; }

    public required SoftTargetLayout Layout { get; init; }

    /// <summary>
    /// Capabilities that the teacher's endpoint was seen to have; null where no endpoint was asked, as for traces written by people.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TeacherCapabilities? Capabilities { get; init; }

    /// <summary>Traces that were asked for and are not there; null where all of it is.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MissingTraces? Missing { get; init; }

    /// <summary>Traces of a scored data set without soft targets; null where all have some, or it is none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public UnscoredTraces? Unscored { get; init; }

    /// <summary>
    /// Those traces by their reason, each by its <see cref="Traces.TraceKey"/>: a run that goes on knows by it which it asks for again.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<UnscoredKeys>? UnscoredKeys { get; init; }

    /// <summary>The part of a collection that the data set holds; null where it is all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TraceSelection? Selection { get; init; }

    /// <summary>Traces in all shards.</summary>
    public required long Rows { get; init; }

    /// <summary>Generated tokens in all shards.</summary>
    public required long Tokens { get; init; }

    /// <summary>Size of all shards on disk.</summary>
    public required long Bytes { get; init; }

    public required IReadOnlyList<ShardEntry> Shards { get; init; }

    /// <summary>Makes one manifest of those of the partitions of a data set, in their order.</summary>
    /// <param name="partitions">At least one, all of the same data set.</param>
    public static ShardManifest Join(IReadOnlyList<ShardManifest> partitions) =>
        Of(partitions[0].Dataset, [.. partitions.SelectMany(partition => partition.Shards)], partitions[0].Layout) with
        {
            Capabilities = partitions[0].Capabilities,
            Missing = MissingTraces.Sum(partitions.Select(partition => partition.Missing)),
        };

    /// <summary>The manifest of shards.</summary>
    public static ShardManifest Of(
        DatasetDescription dataset,
        IReadOnlyList<ShardEntry> shards,
        SoftTargetLayout layout = SoftTargetLayout.Compact
    ) =>
        new()
        {
            Dataset = dataset,
            Layout = layout,
            Rows = shards.Sum(shard => shard.Rows),
            Tokens = shards.Sum(shard => shard.Tokens),
            Bytes = shards.Sum(shard => shard.Bytes),
            Shards = shards,
        };

    /// <summary>
    /// Makes a data set of shards that lie in <paramref name="directory"/>: writes the dataset card, and the manifest last.
    /// </summary>
    /// <param name="writer">Tells processes that publish the same at once apart, as in file names.</param>
    public void Publish(string directory, string writer = "")
    {
        DatasetCard.Save(directory, this, writer);
        Save(directory, FileName, writer);
    }

    /// <summary>Writes <c>manifest.json</c> into <paramref name="directory"/>, whole or not at all.</summary>
    public void Save(string directory) => Save(directory, FileName);

    /// <summary>Writes the manifest of a partition of a data set under a name of its own.</summary>
    public void Save(string directory, string fileName, string writer = "") =>
        AtomicFile.WriteAllText(
            Path.Combine(directory, fileName),
            JsonSerializer.Serialize(this, StorageJson.Default.ShardManifest) + "\n",
            writer
        );

    /// <summary>Returns whether this program reads shards of a format version.</summary>
    internal static bool IsReadable(int formatVersion) => formatVersion is >= 1 and <= CurrentFormatVersion;

    /// <summary>Reads the manifest of a data set, or of a partition of one; null where the directory has none.</summary>
    /// <exception cref="InvalidInputException">The file is not a manifest, or of a later format.</exception>
    public static ShardManifest? Load(string directory, string fileName = FileName)
    {
        var path = Path.Combine(directory, fileName);
        if (!File.Exists(path))
        {
            return null;
        }

        ShardManifest manifest;
        try
        {
            manifest = JsonFile.Read(path, StorageJson.Default.ShardManifest);
        }
        catch (FileNotFoundException)
        {
            // Deleted since, by a process that is about to replace it.
            return null;
        }
        catch (JsonException error)
        {
            throw new InvalidInputException(
                $"{path}, line {error.LineNumber + 1 ?? 1}, {error.Path ?? "$"}: "
                    + "not a manifest; restore the file, or delete it to read the shards as they are",
                error
            );
        }

        return IsReadable(manifest.FormatVersion)
            ? manifest
            : throw new InvalidInputException(
                $"{path}: format_version is {manifest.FormatVersion}, and this program "
                    + $"reads up to {CurrentFormatVersion}; use the version that wrote it"
            );
    }
}

/// <summary>Traces that were asked for and are missing from a data set, with the leave of whoever had it collected.</summary>
/// <param name="Count">Number of missing traces.</param>
/// <param name="Allowed">The fraction of all that may be missing.</param>
public sealed record MissingTraces(long Count, double Allowed)
{
    /// <summary>Traces missing from several partitions together; null where nothing is.</summary>
    public static MissingTraces? Sum(IEnumerable<MissingTraces?> partitions) =>
        partitions.Aggregate(
            (sum, one) =>
                (sum, one) switch
                {
                    (null, _) => one,
                    (_, null) => sum,
                    _ => new MissingTraces(sum.Count + one.Count, Math.Max(sum.Allowed, one.Allowed)),
                }
        );
}

/// <summary>One shard of a data set.</summary>
/// <param name="File">File name within the directory.</param>
/// <param name="Rows">Traces in it.</param>
/// <param name="Tokens">Generated tokens in it.</param>
/// <param name="Bytes">Its size on disk.</param>
/// <param name="Sha256">SHA-256 of the file, in lower-case hexadecimal digits.</param>
public sealed record ShardEntry(string File, long Rows, long Tokens, long Bytes, string Sha256);
