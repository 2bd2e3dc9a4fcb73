using System.Runtime.CompilerServices;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Traces that one partition of an earlier partitioning left in a folder, published or not; only read, perhaps by several processes.
/// </summary>
/// <remarks>
/// A journal is read from a copy: it knows one user only, and where there may be several the
/// log needs shared memory, which a network's disk has not.
/// </remarks>
sealed class EarlierPartition : IAsyncDisposable
{
    readonly OutputFolder _folder;
    readonly string _copyFolder;
    readonly TraceJournal? _journal;
    IReadOnlyDictionary<TraceKey, string> _notes = new Dictionary<TraceKey, string>();
    readonly List<StoredShard> _shards = []; // a later one's traces take the place of an earlier one's

    EarlierPartition(OutputFolder folder, string copyFolder, TraceJournal? journal) =>
        (_folder, _copyFolder, _journal) = (folder, copyFolder, journal);

    /// <summary>Facts that its traces have in common; null where it has none.</summary>
    public DatasetDescription? Dataset { get; private set; }

    public TeacherCapabilities? Capabilities { get; private set; }

    /// <param name="folder">The folder as the earlier partitioning has it.</param>
    /// <param name="manifest">The manifest that it published; null for none.</param>
    /// <param name="copyFolder">Where the journal is copied to; made, and removed in the end.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">What is there is damaged.</exception>
    public static async Task<EarlierPartition> OpenAsync(
        OutputFolder folder,
        ShardManifest? manifest,
        string copyFolder,
        CancellationToken cancellationToken
    )
    {
        var journal = folder.HasJournal ? OpenCopy(folder, copyFolder) : null;
        var earlier = new EarlierPartition(folder, copyFolder, journal)
        {
            Dataset = journal?.Dataset ?? manifest?.Dataset,
            Capabilities = journal?.Capabilities ?? manifest?.Capabilities,
        };
        try
        {
            // While a publication is cut short, the manifest is gone and the journal knows all
            // shards; before, the journal knows those made since.
            if (manifest is not null)
            {
                var published = await PublishedTraces.ReadAsync(folder, manifest, folder.ManifestName, cancellationToken);
                earlier._shards.AddRange(published.Shards);
                earlier._notes = published.Notes;
            }

            earlier._shards.AddRange(
                (journal?.Shards() ?? []).Select(shard =>
                    StoredShard.Find(folder, shard)
                    ?? throw new InvalidInputException(
                        $"{folder.File(shard.Entry.File)}: is missing or damaged; "
                            + $"restore it, or delete {folder.JournalName} and collect its traces again"
                    )
                )
            );
            return earlier;
        }
        catch
        {
            await earlier.DisposeAsync();
            throw;
        }
    }

    /// <summary>Why traces lack something, of those that do.</summary>
    public IReadOnlyDictionary<TraceKey, string> Notes => _journal?.Dataset is null ? _notes : _journal.Notes();

    /// <summary>Ids of all that it holds.</summary>
    public IEnumerable<TraceKey> Keys => (_journal?.Rows() ?? []).Concat(_shards.SelectMany(shard => shard.Keys));

    /// <summary>Its traces, the newest of each id first; shards none of whose traces is wanted are passed over.</summary>
    public async IAsyncEnumerable<Trace> ReadAsync(
        Predicate<TraceKey> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        foreach (var trace in _journal?.Read(_journal.Rows().Where(key => isWanted(key))) ?? [])
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return trace;
        }

        foreach (var shard in _shards.AsEnumerable().Reverse().Where(shard => shard.Keys.Any(key => isWanted(key))))
        {
            await foreach (var trace in ShardReader.ReadShardAsync(shard.Path, shard.Entry, cancellationToken))
            {
                yield return trace;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await (_journal?.DisposeAsync() ?? ValueTask.CompletedTask);
        DeleteCopy(_copyFolder);
    }

    static TraceJournal OpenCopy(OutputFolder folder, string copyFolder)
    {
        DeleteCopy(copyFolder);
        try
        {
            Directory.CreateDirectory(copyFolder);
            foreach (var suffix in TraceJournal.FileSuffixes.Where(suffix => File.Exists(folder.File(folder.JournalName + suffix))))
            {
                File.Copy(folder.File(folder.JournalName + suffix), Path.Combine(copyFolder, folder.JournalName + suffix));
            }

            return TraceJournal.Open(copyFolder, dataset: null, folder.Partition, JournalSync.Off);
        }
        catch (InvalidInputException error)
        {
            DeleteCopy(copyFolder);
            throw new InvalidInputException(error.Message.Replace(copyFolder, folder.Path, StringComparison.Ordinal), error);
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(folder.Path, error);
        }
    }

    static void DeleteCopy(string copyFolder)
    {
        if (Directory.Exists(copyFolder))
        {
            Directory.Delete(copyFolder, recursive: true);
        }
    }
}
