using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;

namespace TraceDistill.Teachers.Collection;

/// <summary>A whole shard on the disk.</summary>
/// <param name="Path">Where it is now.</param>
/// <param name="Entry">Its entry in the manifest, under the name that it has now.</param>
/// <param name="Counts">Counts of its traces by outcome.</param>
/// <param name="Keys">Its traces, in order.</param>
sealed record StoredShard(string Path, ShardEntry Entry, TraceCounts Counts, TraceKey[] Keys)
{
    public string Name => Entry.File;

    /// <summary>
    /// Finds a shard of the journal: under the name that it was written with, or under the one that it was published with.
    /// </summary>
    /// <returns>Null where it is not there whole.</returns>
    public static StoredShard? Find(OutputFolder folder, JournalShard shard)
    {
        var name = shard.Published is not null && !File.Exists(folder.File(shard.Entry.File)) ? shard.Published : shard.Entry.File;
        var file = new FileInfo(folder.File(name));
        return file.Exists && file.Length == shard.Entry.Bytes
            ? new StoredShard(file.FullName, shard.Entry with { File = name }, shard.Counts, shard.Keys)
            : null;
    }

    /// <summary>Reads from a published shard what its manifest does not say.</summary>
    public static async Task<StoredShard> ReadAsync(string directory, ShardEntry entry, CancellationToken cancellationToken)
    {
        var path = System.IO.Path.Combine(directory, entry.File);
        var keys = new List<TraceKey>(checked((int)entry.Rows));
        var counts = default(TraceCounts);
        await foreach (var head in ShardReader.ReadHeadsAsync(path, cancellationToken))
        {
            keys.Add(head.Key);
            counts = counts.With(head);
        }

        return new StoredShard(path, entry, counts, [.. keys]);
    }
}
