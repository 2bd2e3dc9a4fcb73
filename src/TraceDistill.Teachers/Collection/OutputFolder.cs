using System.Globalization;
using System.Text.RegularExpressions;
using TraceDistill.Data.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Where a collection, or one partition of it, lies and what its files are called.</summary>
/// <param name="Path">The folder. Processes that collect other partitions may write to it at the same time.</param>
/// <param name="Partition">The partition.</param>
sealed partial record OutputFolder(string Path, Partition Partition)
{
    /// <summary>The pattern of the names that <see cref="UsageFile"/> has in any partition.</summary>
    public const string UsageFiles = ".usage*.json";

    bool IsWhole => Partition.Count == 1;

    /// <summary>The manifest that says that this partition is complete; of the whole, the data set's own.</summary>
    public string ManifestName => IsWhole ? ShardManifest.FileName : ShardName.PartitionManifest(Partition.Index, Partition.Count);

    /// <summary>Begins the names of shards that belong to the journal until they are published.</summary>
    string WorkingPrefix => System.IO.Path.GetFileNameWithoutExtension(JournalName) + ".";

    /// <summary>Holds what was taken of the teacher; hidden, because it is no part of the data set.</summary>
    public string UsageFile => File(IsWhole ? ".usage.json" : $".usage-{Partition.Index}-of-{Partition.Count}.json");

    /// <summary>Keeps out processes that collect the same partition, or do anything else with the folder.</summary>
    /// <exception cref="ExternalFailureException">There is one.</exception>
    public FolderLock TakeLock() => IsWhole ? FolderLock.Take(Path) : FolderLock.TakePart(Path, LockName);

    /// <summary>Locked by the process that collects this partition.</summary>
    string LockName => IsWhole ? FolderLock.FileName : $".lock-{Partition.Index}-of-{Partition.Count}";

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <exception cref="InvalidInputException">It cannot be made.</exception>
    public void Create()
    {
        try
        {
            Directory.CreateDirectory(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(
                $"{Path}: cannot be made ({e.Message.TrimEnd('.')}); name a folder that you may write to with --out",
                e
            );
        }
    }

    /// <summary>Where journals of earlier partitionings are copied to while they are read.</summary>
    public string CopyFolder => File(IsWhole ? ".earlier" : $".earlier-{Partition.Index}-of-{Partition.Count}");

    public string JournalName => TraceJournal.FileNameOf(Partition);

    public bool HasJournal => TraceJournal.ExistsIn(Path, Partition);

    public TraceJournal OpenJournal(DatasetDescription? dataset, JournalSync synchronous = JournalSync.Full) =>
        TraceJournal.Open(Path, dataset, Partition, synchronous);

    public void DeleteJournal() => TraceJournal.Delete(Path, Partition);

    /// <summary>The name of a shard before it is published.</summary>
    public string WorkingName(long number) => $"{WorkingPrefix}{number:D5}.shard";

    /// <summary>The name of shard <paramref name="index"/> of <paramref name="count"/> in the data set.</summary>
    public string PublishedName(int index, int count) =>
        IsWhole ? ShardName.Published(index, count) : ShardName.Published(Partition.Index, Partition.Count, index);

    /// <summary>Returns whether a file of this name is a published shard of this partition.</summary>
    public bool IsPublished(string name) =>
        IsWhole
            ? ShardName.Parse(name) is not null
            : ShardName.ParsePartition(name) is { } parsed && (parsed.Partition, parsed.Partitions) == (Partition.Index, Partition.Count);

    /// <summary>Returns whether a file of this name is a shard of this partition that is not published yet.</summary>
    public bool IsWorking(string name) => name.StartsWith(WorkingPrefix, StringComparison.Ordinal);

    /// <summary>The manifest of what stands published for this partition: its own, or, before it has one, that of the whole.</summary>
    public string ManifestInForce() => HasManifest ? ManifestName : ShardManifest.FileName;

    /// <summary>True where this partition stands published.</summary>
    public bool HasManifest => System.IO.File.Exists(File(ManifestName));

    /// <summary>Returns whether a data set of this folder was written in this partitioning.</summary>
    public bool IsOfThisPartitioning(ShardManifest manifest) => manifest.Shards.All(shard => IsOfThisPartitioning(shard.File));

    /// <summary>Returns whether the whole stands published, in this partitioning.</summary>
    public bool IsJoined() => ShardManifest.Load(Path) is { } manifest && IsOfThisPartitioning(manifest);

    /// <summary>Returns whether this partition may replace what stands published: not where another partitioning published it.</summary>
    /// <exception cref="InvalidInputException">It is this partition's, and yet its manifest is missing.</exception>
    public bool IsOwn(PublishedTraces published)
    {
        if (IsWhole || published.Manifest is not { } manifest || HasManifest)
        {
            return true;
        }

        // With a journal, its publication was cut short after its manifest was deleted, and
        // another partition has written the whole anew in between.
        return IsOfThisPartitioning(manifest) && !HasJournal
            ? throw new InvalidInputException(
                $"{File(ManifestName)}: is missing, though {ShardManifest.FileName} lists {Partition.Count} partitions; "
                    + "restore it, or go on without --partition"
            )
            : false;
    }

    /// <summary>
    /// Traces that other partitionings of the collection have published or journalled here, each partition as a folder of its own.
    /// </summary>
    public IReadOnlyList<OutputFolder> EarlierPartitions() =>
        [
            .. Directory
                .EnumerateFiles(Path)
                .Select(file => PartitionPattern().Match(System.IO.Path.GetFileName(file)))
                .Where(match =>
                    match.Success && PartitionOf(match).Count != Partition.Count && !(match.Value == ShardManifest.FileName && IsJoined())
                )
                .Select(match => this with { Partition = PartitionOf(match) })
                .Distinct()
                .OrderBy(other => (other.Partition.Count, other.Partition.Index)),
        ];

    /// <summary>Locks held by other processes, those of other partitions among them.</summary>
    public IEnumerable<(string Name, bool IsOfThisPartitioning)> OtherLocks() =>
        from name in Directory.EnumerateFiles(Path, FolderLock.FileName + "*").Select(file => System.IO.Path.GetFileName(file))
        where name != LockName && FolderLock.IsHeld(Path, name)
        select (name, name.EndsWith($"-of-{Partition.Count}", StringComparison.Ordinal));

    /// <summary>Deletes the manifest of the whole if it was written in this partitioning.</summary>
    public void DeleteManifestOfThisPartitioning()
    {
        if (IsJoined())
        {
            System.IO.File.Delete(File(ShardManifest.FileName));
        }
    }

    /// <summary>
    /// Deletes all traces that are here, in any partitioning, and what was said of them. What they took of their teacher stays counted.
    /// </summary>
    /// <exception cref="ExternalFailureException">Other processes are at work here.</exception>
    public void DeleteAll()
    {
        if (OtherLocks().FirstOrDefault().Name is { } name)
        {
            throw new ExternalFailureException(
                $"{Path}: another run is using this folder ({name}), "
                    + "so nothing here is discarded; wait for it, or name another folder with --out"
            );
        }

        // What vouches for the others goes first.
        foreach (
            var file in Directory
                .EnumerateFiles(Path)
                .OrderBy(file => PartitionPattern().IsMatch(System.IO.Path.GetFileName(file)) ? 0 : 1)
                .ToList()
        )
        {
            var found = System.IO.Path.GetFileName(file);
            var isShard = ShardName.Parse(found) is not null || ShardName.ParsePartition(found) is not null || WorkPattern().IsMatch(found);
            var isJournal = TraceJournal.FileSuffixes.Any(suffix =>
                found.EndsWith(suffix, StringComparison.Ordinal) && PartitionPattern().IsMatch(found[..^suffix.Length])
            );
            if (isShard || isJournal || found == CollectionIdentity.FileName)
            {
                System.IO.File.Delete(file);
            }
        }
    }

    public void DeletePartitionManifest()
    {
        if (!IsWhole)
        {
            System.IO.File.Delete(File(ManifestName));
        }
    }

    /// <summary>Deletes shards of other partitionings, published or not.</summary>
    public void DeleteShardsOfOtherPartitionings()
    {
        foreach (var file in Directory.EnumerateFiles(Path))
        {
            var name = System.IO.Path.GetFileName(file);
            var isShard = ShardName.Parse(name) is not null || ShardName.ParsePartition(name) is not null;
            if (
                (isShard && !IsOfThisPartitioning(name))
                || (WorkPattern().Match(name) is { Success: true } match && PartitionOf(match).Count != Partition.Count)
            )
            {
                System.IO.File.Delete(file);
            }
        }
    }

    /// <summary>Publishes the manifest of this partition and, where it was the last one missing, that of the whole.</summary>
    public async Task SaveManifestAsync(ShardManifest manifest, CancellationToken cancellationToken)
    {
        if (IsWhole)
        {
            manifest.Publish(Path);
            return;
        }

        manifest.Save(Path, ManifestName);
        await JoinPartitionsAsync(cancellationToken);
    }

    /// <summary>
    /// Publishes the whole where all partitions are complete, and hold all of a data set that an earlier
    /// partitioning published. Whoever finds that does it; that several do it at once is harmless.
    /// </summary>
    /// <exception cref="InvalidInputException">The partitions were collected in different ways.</exception>
    public async Task JoinPartitionsAsync(CancellationToken cancellationToken)
    {
        // Another process may replace its partition meanwhile and, having written the whole before
        // this one, be overwritten with the old: so look again.
        IReadOnlyList<ShardEntry>? written = null;
        while (
            !IsWhole
            && ReadPartitions() is { } partitions
            && ShardManifest.Join(partitions) is var whole
            && !(written?.SequenceEqual(whole.Shards) ?? false)
        )
        {
            if (
                ShardManifest.Load(Path) is { } earlier
                && !IsOfThisPartitioning(earlier)
                && !(await Repartitioning.KeysAsync(this, whole, cancellationToken)).IsSupersetOf(
                    await Repartitioning.KeysAsync(this, earlier, cancellationToken)
                )
            )
            {
                return;
            }

            whole.Publish(Path, $".{Partition.Index}-of-{Partition.Count}");
            written = whole.Shards;
        }

        if (written is not null && ReadPartitions() is null)
        {
            System.IO.File.Delete(File(ShardManifest.FileName));
        }
    }

    /// <summary>The manifests of all partitions, or null where one is missing.</summary>
    List<ShardManifest>? ReadPartitions()
    {
        var partitions = new List<ShardManifest>();
        for (var i = 0; i < Partition.Count; i++)
        {
            var name = ShardName.PartitionManifest(i, Partition.Count);
            if (ShardManifest.Load(Path, name) is not { } partition)
            {
                return null;
            }

            partitions.Add(partition);
            DatasetDifference.Ensure(File(name), partition.Dataset, partitions[0].Dataset);
        }

        return partitions;
    }

    /// <summary>Deletes what a killed process had not finished: shards that the journal does not know.</summary>
    public void DeleteUnknownWork(IReadOnlySet<string> known)
    {
        foreach (var file in Directory.EnumerateFiles(Path, WorkingPrefix + "*"))
        {
            var name = System.IO.Path.GetFileName(file);
            if (WorkPattern().IsMatch(name) && !known.Contains(name))
            {
                System.IO.File.Delete(file);
            }
        }
    }

    bool IsOfThisPartitioning(string shard) =>
        IsWhole ? ShardName.Parse(shard) is not null : ShardName.ParsePartition(shard)?.Partitions == Partition.Count;

    static Partition PartitionOf(Match match) =>
        match.Groups[1].Success ? new Partition(Number(match, 1), Number(match, 2)) : Partition.Whole;

    static int Number(Match match, int group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(
        @"^(?:manifest\.json|journal\.db|part-(\d{1,5})-of-(\d{1,5})\.manifest\.json|journal-(?<1>\d{1,5})-of-(?<2>\d{1,5})\.db)$",
        RegexOptions.None,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex PartitionPattern();

    [GeneratedRegex(@"^journal(?:-(\d{1,5})-of-(\d{1,5}))?\.\d+\.shard(?:\.tmp)?$", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex WorkPattern();
}
