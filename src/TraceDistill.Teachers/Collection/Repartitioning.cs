using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Goes on in a folder whose collection had another partitioning before: another number of partitions, or none.
/// Each process copies what belongs to its partition now into its journal, so nothing is asked for twice.
/// What the earlier partitioning left stays as it is until all of it stands in the data set of the new one.
/// </summary>
static class Repartitioning
{
    const int MostUnsettled = 256; // as many as the journal commits at once

    /// <summary>Copies those traces of this partition that it does not have yet.</summary>
    /// <param name="folder">The folder in its partitioning of now.</param>
    /// <param name="journal">Where they go.</param>
    /// <param name="present">The traces that it has.</param>
    /// <param name="cancellationToken">Stops between traces; what was copied stays.</param>
    /// <returns>The number of traces copied.</returns>
    /// <exception cref="InvalidInputException">What is there is damaged, or was collected in another way.</exception>
    /// <exception cref="ExternalFailureException">A process of another partitioning is at work in the folder.</exception>
    public static async Task<long> AdoptAsync(
        OutputFolder folder,
        TraceJournal journal,
        IEnumerable<TraceKey> present,
        CancellationToken cancellationToken
    )
    {
        if (folder.OtherLocks().FirstOrDefault(other => !other.IsOfThisPartitioning).Name is { } name)
        {
            throw new ExternalFailureException(
                $"{folder.Path}: another run is using this folder ({name}) with "
                    + "another partitioning; wait for it, or name another folder with --out"
            );
        }

        var (keys, adopted, unsettled) = (present.ToHashSet(), 0L, new List<Task>());
        foreach (var other in folder.EarlierPartitions())
        {
            await using var earlier = await OpenAsync(folder, other, cancellationToken);
            if (earlier.Dataset is { } dataset)
            {
                journal.Describe(dataset, earlier.Capabilities);
            }

            await foreach (var trace in earlier.ReadAsync(key => !keys.Contains(key), cancellationToken))
            {
                if (!folder.Partition.Contains(trace.ProblemId) || !keys.Add(TraceKey.Of(trace.Id)))
                {
                    continue;
                }

                adopted++;
                unsettled.Add(journal.AddAsync(trace));
                if (unsettled.Count == MostUnsettled)
                {
                    await Task.WhenAll(unsettled);
                    unsettled.Clear();
                }
            }
        }

        await Task.WhenAll(unsettled);
        return adopted;
    }

    /// <summary>
    /// Deletes what earlier partitionings left and the data set that stands now holds. Does nothing while other processes
    /// are at work in the folder, which may still be reading it: the next one that finds its partition complete does it.
    /// </summary>
    /// <exception cref="InvalidInputException">What is there is damaged.</exception>
    public static async Task DeleteLeftoversAsync(OutputFolder folder, CancellationToken cancellationToken)
    {
        if (folder.OtherLocks().Any() || ShardManifest.Load(folder.Path) is not { } manifest || !folder.IsOfThisPartitioning(manifest))
        {
            return;
        }

        HashSet<TraceKey>? known = null;
        foreach (var other in folder.EarlierPartitions())
        {
            known ??= await KeysAsync(folder, manifest, cancellationToken);
            bool isKnown;
            await using (var earlier = await OpenAsync(folder, other, cancellationToken))
            {
                isKnown = known.IsSupersetOf(earlier.Keys);
            }

            if (isKnown)
            {
                other.DeletePartitionManifest();
                other.DeleteJournal();
            }
        }

        if (folder.EarlierPartitions().Count == 0)
        {
            folder.DeleteShardsOfOtherPartitionings();
        }
    }

    /// <summary>Ids of all traces in a data set of this folder.</summary>
    public static async Task<HashSet<TraceKey>> KeysAsync(
        OutputFolder folder,
        ShardManifest manifest,
        CancellationToken cancellationToken
    ) =>
        [
            .. (await PublishedTraces.ReadAsync(folder, manifest, ShardManifest.FileName, cancellationToken)).Shards.SelectMany(shard =>
                shard.Keys
            ),
        ];

    static Task<EarlierPartition> OpenAsync(OutputFolder folder, OutputFolder other, CancellationToken cancellationToken)
    {
        var manifest = ShardManifest.Load(other.Path, other.ManifestName);
        return EarlierPartition.OpenAsync(
            other,
            manifest is not null && folder.IsOfThisPartitioning(manifest) ? null : manifest,
            folder.CopyFolder,
            cancellationToken
        );
    }
}
