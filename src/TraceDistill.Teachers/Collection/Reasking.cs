using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Collection;

/// <summary>Finds the traces that are there and are to be asked for again.</summary>
sealed class Reasking(IReadOnlyList<TraceFlaw> flaws, TraceInventory inventory, TraceJournal? journal)
{
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (flaws.Count == 0)
        {
            return;
        }

        for (var i = 0; i < inventory.Shards.Count; i++)
        {
            if (!MayHold(inventory.Shards[i].Counts))
            {
                continue;
            }

            await foreach (var head in ShardReader.ReadHeadsAsync(inventory.Shards[i].Path, cancellationToken))
            {
                // A later shard or a row may have taken its place.
                if (inventory.ShardOf(head.Key) == i)
                {
                    Look(head);
                }
            }
        }

        foreach (var trace in journal?.Read(journal.Rows()) ?? [])
        {
            cancellationToken.ThrowIfCancellationRequested();
            Look(TraceFlaws.HeadOf(trace));
        }
    }

    bool MayHold(TraceCounts counts) =>
        (counts.Length > 0 && flaws.Contains(TraceFlaw.Length))
        || (counts.Refusal > 0 && flaws.Contains(TraceFlaw.Refusal))
        || (counts.Empty > 0 && flaws.Contains(TraceFlaw.Empty))
        // Shards of an earlier version of this program are not counted for it.
        || flaws.Contains(TraceFlaw.Unfinished);

    void Look(TraceHead head)
    {
        if (TraceFlaws.Of(head) is { } flaw && flaws.Contains(flaw))
        {
            inventory.AskAgain(head.Key, head.Seed);
        }
    }
}
