using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Traces that an earlier run published in the output folder.</summary>
/// <param name="Manifest">Its manifest; null where nothing is published.</param>
/// <param name="Shards">Its shards.</param>
sealed record PublishedTraces(ShardManifest? Manifest, IReadOnlyList<StoredShard> Shards)
{
    /// <summary>Why traces lack something, of those that do.</summary>
    public IReadOnlyDictionary<TraceKey, string> Notes { get; } =
        (Manifest?.UnscoredKeys ?? [])
            .SelectMany(reason => reason.Keys.Select(key => (Key: TraceKey.Of(key), reason.Reason)))
            .ToDictionary(note => note.Key, note => note.Reason);

    /// <summary>Notes as a manifest has them; null for none.</summary>
    public static IReadOnlyList<UnscoredKeys>? KeysOf(IReadOnlyDictionary<TraceKey, string> notes) =>
        notes.Count == 0
            ? null
            :
            [
                .. notes
                    .GroupBy(note => note.Value, note => note.Key)
                    .OrderBy(reason => reason.Key, StringComparer.Ordinal)
                    .Select(reason => new UnscoredKeys(reason.Key, [.. reason.Order().Select(key => key.ToString())])),
            ];

    /// <summary>Reads what stands for a partition: what it published, or, before it has published anything, the whole.</summary>
    /// <param name="folder">The output folder.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The folder holds shards that no manifest vouches for, or a shard is damaged.</exception>
    public static async Task<PublishedTraces> ReadAsync(OutputFolder folder, CancellationToken cancellationToken)
    {
        var manifestName = folder.ManifestInForce();
        if (ShardManifest.Load(folder.Path, manifestName) is { } manifest)
        {
            return await ReadAsync(folder, manifest, manifestName, cancellationToken);
        }

        // With a journal they are leftovers of a publication that was cut short, and the journal has their traces.
        var isExplained = folder.HasJournal || folder.EarlierPartitions().Count > 0;
        return isExplained || !Directory.EnumerateFiles(folder.Path).Any(file => folder.IsPublished(Path.GetFileName(file)))
            ? new PublishedTraces(null, [])
            : throw new InvalidInputException(
                $"{folder.Path}: holds shards but no {manifestName}; restore it, or name another folder with --out"
            );
    }

    /// <summary>Reads the shards that a manifest names.</summary>
    /// <exception cref="InvalidInputException">A shard is missing or damaged.</exception>
    public static async Task<PublishedTraces> ReadAsync(
        OutputFolder folder,
        ShardManifest manifest,
        string manifestName,
        CancellationToken cancellationToken
    )
    {
        var shards = new List<StoredShard>();
        foreach (var entry in manifest.Shards)
        {
            var file = new FileInfo(folder.File(entry.File));
            shards.Add(
                file.Exists && file.Length == entry.Bytes
                    ? await StoredShard.ReadAsync(folder.Path, entry, cancellationToken)
                    : throw new InvalidInputException(
                        $"{file}: is missing, or not as long as {manifestName} says; restore it or collect again"
                    )
            );
        }

        return new PublishedTraces(manifest, shards);
    }
}
