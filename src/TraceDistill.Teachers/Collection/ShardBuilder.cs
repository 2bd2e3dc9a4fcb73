using System.Runtime.CompilerServices;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Collection;

/// <summary>Moves a block's traces out of the journal's rows, and out of earlier shards where need be, into a shard of their own.</summary>
/// <remarks>
/// The shard stands whole under its name before the journal knows it, and the journal drops the rows with the same
/// transaction in which it takes note of the shard. Killed in between, the shard is unknown and is written again.
/// </remarks>
/// <param name="folder">Where shards go.</param>
/// <param name="inventory">Traces that are there.</param>
/// <param name="journal">The rows.</param>
/// <param name="layout">How soft targets stand in it.</param>
/// <param name="step">Called before each step that changes anything on disk; what it throws ends the run there.</param>
sealed class ShardBuilder(OutputFolder folder, TraceInventory inventory, TraceJournal journal, SoftTargetLayout layout, Action<string> step)
{
    /// <param name="block">The block.</param>
    /// <param name="earlier">Reads shards that hold a part of it; null where all of it are rows.</param>
    /// <param name="cancellationToken">Stops between traces and leaves everything as it was.</param>
    public async Task BuildAsync(int block, EarlierShards? earlier, CancellationToken cancellationToken)
    {
        var number = journal.NextShardNumber();
        var path = folder.File(folder.WorkingName(number));
        var content = inventory.Content(block);
        var (keys, counts) = (new List<TraceKey>(content.Count), default(TraceCounts));
        step("write a shard");
        var entry = await ShardWriter.WriteShardAsync(
            path,
            journal.Dataset!,
            Counted(),
            layout,
            inventory.RowGroups(block),
            cancellationToken
        );

        step("take note of a shard");
        var shard = new JournalShard(number, entry, Published: null, counts, [.. keys]);
        journal.NoteShard(shard);
        inventory.Add(new StoredShard(path, entry, counts, shard.Keys));

        async IAsyncEnumerable<Trace> Counted()
        {
            await foreach (var trace in TracesAsync(content, earlier, cancellationToken))
            {
                keys.Add(TraceKey.Of(trace.Id));
                counts = counts.With(TraceFlaws.HeadOf(trace));
                yield return trace;
            }
        }
    }

    async IAsyncEnumerable<Trace> TracesAsync(
        IReadOnlyList<(TraceKey Key, int? Shard)> content,
        EarlierShards? earlier,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        for (var next = 0; next < content.Count; )
        {
            if (content[next].Shard is { } shard)
            {
                yield return await earlier!.TakeAsync(shard, content[next++].Key, cancellationToken);
                continue;
            }

            var rows = content.Skip(next).TakeWhile(trace => trace.Shard is null).Select(trace => trace.Key).ToList();
            next += rows.Count;
            if (earlier is not null)
            {
                await earlier.SettleAsync();
            }

            foreach (var trace in journal.Read(rows))
            {
                yield return trace;
            }
        }
    }
}
