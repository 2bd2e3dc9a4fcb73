using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Files;

namespace TraceDistill.Teachers.Collection;

/// <summary>Makes a data set of everything that is there: in the plan's order, whatever the order in which the traces came.</summary>
/// <param name="folder">Where it goes.</param>
/// <param name="inventory">Traces that are there.</param>
/// <param name="journal">Everything that is not published yet.</param>
/// <param name="complete">Adds to the manifest what is known of the traces; called while the journal is open.</param>
/// <param name="layout">As for <see cref="ShardBuilder"/>.</param>
/// <param name="step">As for <see cref="ShardBuilder"/>.</param>
sealed class ShardPublisher(
    OutputFolder folder,
    TraceInventory inventory,
    TraceJournal journal,
    Func<ShardManifest, ShardManifest> complete,
    SoftTargetLayout layout,
    Action<string> step
)
{
    /// <summary>
    /// Builds the shards that are missing, gives all of them their names, writes the manifest last, and removes the
    /// journal. Cut short anywhere, it can be repeated: until the manifest stands, the journal knows where everything is.
    /// </summary>
    public async Task<PublishedTraces> PublishAsync(CancellationToken cancellationToken)
    {
        var blocks = await BuildAsync(cancellationToken);
        var number = journal.NextShardNumber();
        var shards = blocks
            .Select(
                (shard, index) =>
                    new JournalShard(number + index, shard.Entry, folder.PublishedName(index, blocks.Count), shard.Counts, shard.Keys)
            )
            .ToList();
        step("take note of the data set");
        journal.NoteDataSet(shards);
        var manifest = complete(
            ShardManifest.Of(journal.Dataset!, [.. shards.Select(shard => shard.Entry with { File = shard.Published! })], layout)
        );
        await journal.DisposeAsync();
        try
        {
            return await PublishAsync(shards, manifest, cancellationToken);
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(folder.Path, error);
        }
    }

    /// <summary>The shard of each block that has traces.</summary>
    async Task<IReadOnlyList<StoredShard>> BuildAsync(CancellationToken cancellationToken)
    {
        var builder = new ShardBuilder(folder, inventory, journal, layout, step);
        await using var earlier = new EarlierShards(inventory, journal);
        var filled = Enumerable.Range(0, inventory.Blocks).Where(block => inventory.Content(block).Count > 0).ToList();
        var shards = new List<StoredShard>();
        foreach (var (index, block) in filled.Index())
        {
            // What an earlier version of this program wrote, or in the other layout, is written anew, so that the data set is of one kind.
            if (
                ShardOf(block, folder.PublishedName(index, filled.Count)) is not { } shard
                || !await ShardReader.IsCurrentAsync(shard.Path, layout, cancellationToken)
            )
            {
                await builder.BuildAsync(block, earlier, cancellationToken);
                shard = inventory.Shards[^1];
            }

            shards.Add(shard);
        }

        await journal.CompleteAsync();
        return shards;
    }

    /// <summary>The shard that holds exactly a block; null where there is none, or none that can get the block's name.</summary>
    StoredShard? ShardOf(int block, string name)
    {
        var content = inventory.Content(block);
        if (
            content[0].Shard is not { } index
            || content.Any(trace => trace.Shard != index)
            || inventory.Shards[index] is var shard && shard.Keys.Length != content.Count
        )
        {
            return null;
        }

        // Another shard's name may only be given away once that one has been moved; and what
        // another partitioning published is not this one's to move.
        shard = inventory.Shards[index];
        var isFree =
            folder.IsWorking(shard.Name)
            || shard.Name == name
            || (ShardName.Parse(shard.Name) is { Count: var before } && ShardName.Parse(name) is { Count: var now } && before != now);
        return isFree ? shard : null;
    }

    async Task<PublishedTraces> PublishAsync(
        IReadOnlyList<JournalShard> shards,
        ShardManifest manifest,
        CancellationToken cancellationToken
    )
    {
        // While a data set is being replaced it has no manifest, so a reader never takes a mixture of old and new for whole. That of the
        // whole goes first, lest it be taken for this partition's own, and again: another partition may have written it anew in between.
        step("delete the manifest");
        // One of another partitioning stays in force until the new whole takes its place.
        folder.DeleteManifestOfThisPartitioning();
        folder.DeletePartitionManifest();
        folder.DeleteManifestOfThisPartitioning();
        DirectorySync.Flush(folder.Path);
        foreach (var shard in shards.Where(shard => shard.Entry.File != shard.Published))
        {
            step("name a shard");
            File.Move(folder.File(shard.Entry.File), folder.File(shard.Published!), overwrite: true);
        }

        var names = shards.Select(shard => shard.Published!).ToHashSet();
        var stale = Directory
            .EnumerateFiles(folder.Path)
            .Select(file => Path.GetFileName(file))
            .Where(folder.IsPublished)
            .Except(names)
            .ToList();
        foreach (var name in stale)
        {
            step("delete an old shard");
            File.Delete(folder.File(name));
        }

        folder.DeleteUnknownWork(new HashSet<string>());
        DirectorySync.Flush(folder.Path);
        step("write the manifest");
        await folder.SaveManifestAsync(manifest, cancellationToken);
        DirectorySync.Flush(folder.Path);
        step("delete the journal");
        folder.DeleteJournal();
        return new PublishedTraces(manifest, [.. shards.Select(shard => StoredShard.Find(folder, shard)!)]);
    }
}
