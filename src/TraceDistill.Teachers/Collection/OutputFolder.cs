using System.Globalization;
using System.Text.RegularExpressions;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Journal;

namespace TraceDistill.Teachers.Collection;

/// <summary>Where a collection, or one share of it, lies and what its files are called.</summary>
/// <param name="Path">The folder. Processes that collect other shares may write to it at the same time.</param>
/// <param name="Partition">The share.</param>
sealed partial record OutputFolder(string Path, Partition Partition)
{
    /// <summary>The pattern of the names that <see cref="UsageFile"/> has in any share.</summary>
    public const string UsageFiles = ".usage*.json";

    bool IsWhole => Partition.Count == 1;

    /// <summary>The manifest that says that this share is complete; of the whole, the data set's own.</summary>
    public string ManifestName => IsWhole ? ShardManifest.FileName : ShardName.PartManifest(Partition.Index, Partition.Count);

    /// <summary>Begins the names of shards that belong to the journal until they are published.</summary>
    string WorkingPrefix => System.IO.Path.GetFileNameWithoutExtension(TraceJournal.FileNameOf(Partition)) + ".";

    /// <summary>Holds what was taken of the teacher; hidden, because it is no part of the data set.</summary>
    public string UsageFile => File(IsWhole ? ".usage.json" : $".usage-{Partition.Index}-of-{Partition.Count}.json");

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
            throw new InvalidInputException($"{Path}: cannot be made ({e.Message.TrimEnd('.')}); name a folder that you may write to with --out", e);
        }
    }

    public bool HasJournal => TraceJournal.ExistsIn(Path, Partition);

    public TraceJournal OpenJournal(DatasetDescription? dataset, JournalSync synchronous = JournalSync.Full) => TraceJournal.Open(Path, dataset, Partition, synchronous);

    public void DeleteJournal() => TraceJournal.Delete(Path, Partition);

    /// <summary>The name of a shard before it is published.</summary>
    public string WorkingName(long number) => $"{WorkingPrefix}{number:D5}.shard";

    /// <summary>The name of shard <paramref name="index"/> of <paramref name="count"/> in the data set.</summary>
    public string PublishedName(int index, int count) =>
        IsWhole ? ShardName.Published(index, count) : ShardName.Published(Partition.Index, Partition.Count, index);

    /// <summary>Whether a file of this name is a published shard of this share.</summary>
    public bool IsPublished(string name) => IsWhole
        ? ShardName.Parse(name) is not null
        : ShardName.ParsePart(name) is { } part && (part.Part, part.Parts) == (Partition.Index, Partition.Count);

    /// <summary>The manifest that tells what stands published for this share: its own, or, before it has one, that of the whole.</summary>
    public string ManifestInForce() => System.IO.File.Exists(File(ManifestName)) ? ManifestName : ShardManifest.FileName;

    /// <summary>Keeps shares apart from those of another division, whose traces this one cannot see.</summary>
    /// <remarks>Only where nothing is to be done is it all the same how the folder was divided.</remarks>
    /// <exception cref="InvalidInputException">The folder holds what belongs to another division.</exception>
    public void EnsureFits(CollectionPlan plan, PublishedTraces published)
    {
        var other = Directory.EnumerateFiles(Path).Select(file => System.IO.Path.GetFileName(file)).FirstOrDefault(IsOfAnotherDivision);
        if (other is not null)
        {
            throw new InvalidInputException(
                $"{Path}: holds {other}, of a collection divided in another way; go on as it was divided (--partition), or name another folder with --out");
        }

        var isOfWhole = ManifestInForce() != ManifestName && published.Manifest is not null;
        if (isOfWhole && !plan.Keys.ToHashSet().IsSupersetOf(published.Shards.SelectMany(shard => shard.Keys)))
        {
            throw new InvalidInputException(
                $"{Path}: holds a data set that was not collected in {Partition.Count} shares; go on without --partition, or name another folder with --out");
        }
    }

    /// <summary>Publishes the whole if its last share was published and the process ended right after.</summary>
    public void EnsureJoined()
    {
        if (!IsWhole && !System.IO.File.Exists(File(ShardManifest.FileName)))
        {
            JoinParts();
        }
    }

    /// <summary>Publishes the manifest of this share and, where it was the last one missing, that of the whole.</summary>
    public void SaveManifest(ShardManifest manifest)
    {
        if (IsWhole)
        {
            manifest.Publish(Path);
            return;
        }

        manifest.Save(Path, ManifestName);
        JoinParts();
    }

    /// <summary>Publishes the whole where all shares are complete. Whoever finds that does it; that several do it at once is harmless.</summary>
    /// <exception cref="InvalidInputException">The shares were collected in different ways.</exception>
    public void JoinParts()
    {
        // Another process may replace its part meanwhile and, having written the whole before this one, be overwritten with the old: so look again.
        IReadOnlyList<ShardEntry>? written = null;
        while (ReadParts() is { } parts && ShardManifest.Join(parts) is var whole && !(written?.SequenceEqual(whole.Shards) ?? false))
        {
            whole.Publish(Path, $".{Partition.Index}-of-{Partition.Count}");
            written = whole.Shards;
        }

        if (written is not null && ReadParts() is null)
        {
            System.IO.File.Delete(File(ShardManifest.FileName));
        }
    }

    /// <summary>The manifests of all shares, or null where one is missing.</summary>
    List<ShardManifest>? ReadParts()
    {
        var parts = new List<ShardManifest>();
        for (var i = 0; i < Partition.Count; i++)
        {
            var name = ShardName.PartManifest(i, Partition.Count);
            if (ShardManifest.Load(Path, name) is not { } part)
            {
                return null;
            }

            parts.Add(part);
            DatasetDifference.Ensure(File(name), part.Dataset, parts[0].Dataset);
        }

        return parts;
    }

    /// <summary>Deletes what a killed process had not finished: shards that the journal does not know.</summary>
    public void DeleteUnknownWork(IReadOnlySet<string> known)
    {
        foreach (var file in Directory.EnumerateFiles(Path, WorkingPrefix + "*"))
        {
            var name = System.IO.Path.GetFileName(file);
            if ((name.EndsWith(".shard", StringComparison.Ordinal) || name.EndsWith(".shard" + AtomicFile.TemporarySuffix, StringComparison.Ordinal)) && !known.Contains(name))
            {
                System.IO.File.Delete(file);
            }
        }
    }

    bool IsOfAnotherDivision(string name) => DivisionPattern().Match(name) is { Success: true } match
        && match.Groups[1].Value != Partition.Count.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(?:part|journal)-\d+-of-(\d+)\.(?:manifest\.json|db)$")]
    private static partial Regex DivisionPattern();
}
