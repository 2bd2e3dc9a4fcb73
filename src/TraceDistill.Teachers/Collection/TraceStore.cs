using System.Runtime.CompilerServices;
using TraceDistill.Data.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>A collection's traces on disk: what earlier runs published and journalled, what is still wanted, and where it goes.</summary>
/// <typeparam name="TPlan">The plan of what is wanted.</typeparam>
sealed class TraceStore<TPlan> : IAsyncDisposable
    where TPlan : ITracePlan
{
    readonly OutputFolder _folder;
    readonly FolderLock _lock;
    readonly StoreOptions _options;
    TraceJournal? _journal;

    TraceStore(
        OutputFolder folder,
        FolderLock @lock,
        StoreOptions options,
        TPlan plan,
        TraceInventory inventory,
        PublishedTraces published,
        TraceJournal? journal
    )
    {
        (_folder, _lock, _options, Plan, Inventory, Published, _journal) = (folder, @lock, options, plan, inventory, published, journal);
    }

    public OutputFolder Folder => _folder;

    public TPlan Plan { get; }

    public TraceInventory Inventory { get; }

    /// <summary>Traces that stand published now.</summary>
    public PublishedTraces Published { get; }

    /// <summary>Facts that the traces that are there have in common; null where there are none.</summary>
    public DatasetDescription? Dataset => Published.Manifest?.Dataset ?? _journal?.Dataset;

    /// <summary>Capabilities that their teacher's endpoint was seen to have; null where that was not said.</summary>
    public TeacherCapabilities? Capabilities => _journal?.Capabilities ?? Published.Manifest?.Capabilities;

    /// <summary>Traces taken over on opening from a collection of this folder in another partitioning.</summary>
    public long Adopted { get; private init; }

    /// <summary>Traces given up on opening, as the user allowed; null for nothing.</summary>
    public string? Discarded { get; private set; }

    /// <summary>True where all that is wanted is published, and in the layout that is wanted.</summary>
    public bool IsFinished =>
        Published.Manifest is { } manifest && manifest.Layout == _options.Layout && Inventory.Wanted == 0 && _journal is null;

    /// <summary>True where something is wanted, or nothing tells yet what traces there would be.</summary>
    public bool NeedsTeacher => Inventory.Wanted > 0 || Dataset is null;

    /// <summary>Called before each step that changes shards or manifests; what it throws ends the run there.</summary>
    public Action<string> Step { get; set; } = _ => { };

    /// <param name="folder">An existing folder.</param>
    /// <param name="planning">Works out the traces wanted of a partition, while what is there is looked at.</param>
    /// <param name="options">How traces are kept.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">What the folder holds is damaged or does not go with this collection.</exception>
    /// <exception cref="ExternalFailureException">Another process collects the same into the folder.</exception>
    public static async Task<TraceStore<TPlan>> OpenAsync(
        OutputFolder folder,
        Func<Partition, Task<TPlan>> planning,
        StoreOptions options,
        CancellationToken cancellationToken
    )
    {
        // Before anything is looked at, and until all is published: a process that publishes meanwhile would make what was seen untrue.
        var @lock = folder.TakeLock();
        var journal = default(TraceJournal);
        try
        {
            var reading = Task.Run(() => PublishedTraces.ReadAsync(folder, cancellationToken), cancellationToken);
            var plan = await planning(folder.Partition);
            var published = await reading;
            journal = folder.HasJournal ? folder.OpenJournal(dataset: null, options.Synchronous) : null;
            if (journal is not null && IsPublished(journal, published))
            {
                await journal.DisposeAsync();
                journal = null;
                folder.DeleteJournal();
            }

            var discarded = DifferenceOfOptions(folder, options, published, journal);
            if (discarded is not null)
            {
                RefuseUnlessDiscarded(discarded);
                await StartAnewAsync();
            }

            var inventory = await TakeInventoryAsync(folder, options, plan, published, journal, cancellationToken);
            var adopted = 0L;
            var isComplete = published.Manifest is not null && inventory.Wanted == 0 && journal is null;
            if (isComplete && !folder.HasManifest)
            {
                // Another partitioning's data set serves as it is only where no partition wants anything
                // of it; else each has to take its own over.
                isComplete =
                    (
                        await TakeInventoryAsync(folder, options, await planning(Partition.Whole), published, journal, cancellationToken)
                    ).Wanted == 0;
            }

            if (isComplete)
            {
                await CompleteWholeAsync(folder, cancellationToken);
            }
            else if (folder.EarlierPartitions().Count > 0 || !folder.IsOwn(published))
            {
                published = folder.IsOwn(published) ? published : new PublishedTraces(null, []);
                journal ??= folder.OpenJournal(dataset: null, options.Synchronous);
                var present = published
                    .Shards.SelectMany(shard => shard.Keys)
                    .Concat(journal.Shards().SelectMany(shard => shard.Keys))
                    .Concat(journal.Rows());
                adopted = await Repartitioning.AdoptAsync(folder, journal, present, cancellationToken);
                inventory = await TakeInventoryAsync(folder, options, plan, published, journal, cancellationToken);
            }

            // A partition that finds all of another partitioning's data set serving looks at more than its own.
            if (options.Identity is not null && (folder.HasManifest || !isComplete) && inventory.LeftOver() is { Count: > 0 } leftOver)
            {
                discarded = await plan.DescribeLeftOverAsync(
                    ReadAsync(inventory, journal, leftOver, cancellationToken),
                    CollectionIdentity.Load(folder.Path) is not null,
                    cancellationToken
                );
                RefuseUnlessDiscarded(discarded!);
                if (inventory.Present == leftOver.Count)
                {
                    await StartAnewAsync();
                    inventory = await TakeInventoryAsync(folder, options, plan, published, journal, cancellationToken);
                }
                else
                {
                    journal ??= folder.OpenJournal(dataset: null, options.Synchronous);
                    if (journal.Dataset is null)
                    {
                        journal.Describe(published.Manifest!.Dataset, notes: published.Notes);
                    }

                    inventory = await TakeInventoryAsync(folder, options, plan, published, journal, cancellationToken, plannedOnly: true);
                }
            }

            return new TraceStore<TPlan>(folder, @lock, options, plan, inventory, published, journal)
            {
                Adopted = adopted,
                Discarded = discarded,
            };

            void RefuseUnlessDiscarded(string difference)
            {
                if (!options.Discard)
                {
                    throw LeftOver.Refusal(folder.Path, difference);
                }
            }

            async Task StartAnewAsync()
            {
                await (journal?.DisposeAsync() ?? ValueTask.CompletedTask);
                (journal, published) = (null, new PublishedTraces(null, []));
                folder.DeleteAll();
            }
        }
        catch
        {
            await (journal?.DisposeAsync() ?? ValueTask.CompletedTask);
            @lock.Dispose();
            throw;
        }
    }

    /// <summary>Does what remains to be done once a partition is published, as far as the others allow.</summary>
    static async Task CompleteWholeAsync(OutputFolder folder, CancellationToken cancellationToken)
    {
        if (!folder.IsJoined())
        {
            await folder.JoinPartitionsAsync(cancellationToken);
        }

        await Repartitioning.DeleteLeftoversAsync(folder, cancellationToken);
    }

    /// <summary>
    /// Difference of the options with which traces were asked for; null where all that is there goes with those of now, as far as that is
    /// known.
    /// </summary>
    static string? DifferenceOfOptions(OutputFolder folder, StoreOptions options, PublishedTraces published, TraceJournal? journal)
    {
        if (options.Identity is not { } now || (published.Manifest is null && journal is null && folder.EarlierPartitions().Count == 0))
        {
            return null;
        }

        var shards = published.Shards.Select(shard => shard.Keys).Concat(journal?.Shards().Select(shard => shard.Keys) ?? []);
        return LeftOver.OfOptions(
            CollectionIdentity.Load(folder.Path),
            now,
            shards.SelectMany(keys => keys).Concat(journal?.Rows() ?? []).Distinct().Count()
        );
    }

    static async IAsyncEnumerable<Trace> ReadAsync(
        TraceInventory inventory,
        TraceJournal? journal,
        IReadOnlyList<TraceKey> keys,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        foreach (var trace in journal?.Read(keys.Where(key => inventory.ShardOf(key) is null)) ?? [])
        {
            yield return trace;
        }

        foreach (var wanted in keys.Where(key => inventory.ShardOf(key) is not null).GroupBy(key => inventory.ShardOf(key)!.Value))
        {
            var (shard, found) = (inventory.Shards[wanted.Key], wanted.ToHashSet());
            await foreach (var trace in ShardReader.ReadShardAsync(shard.Path, shard.Entry, cancellationToken))
            {
                if (found.Contains(TraceKey.Of(trace.Id)))
                {
                    yield return trace;
                }
            }
        }
    }

    static async Task<TraceInventory> TakeInventoryAsync(
        OutputFolder folder,
        StoreOptions options,
        TPlan plan,
        PublishedTraces published,
        TraceJournal? journal,
        CancellationToken cancellationToken,
        bool plannedOnly = false
    )
    {
        var journalled = (journal?.Shards() ?? [])
            .Select(shard =>
                StoredShard.Find(folder, shard)
                ?? throw new InvalidInputException(
                    $"{folder.File(shard.Entry.File)}: is missing or damaged; "
                        + $"restore it, or delete {journal!.Path} and collect its traces again"
                )
            )
            .ToList();
        folder.DeleteUnknownWork(journalled.Select(shard => shard.Name).ToHashSet());
        var inventory = new TraceInventory(
            plan.Keys,
            [.. published.Shards, .. journalled],
            journal?.Rows() ?? [],
            options.Cut,
            plannedOnly
        );
        if (inventory.Blocks > ShardName.MostShards)
        {
            throw new InvalidInputException(
                $"shard_rows: so few traces in a shard make {inventory.Blocks:N0} "
                    + $"shards, and {ShardName.MostShards:N0} is the most; raise it"
            );
        }

        await new Reasking(options.Reask, inventory, journal).RunAsync(cancellationToken);
        foreach (var (key, note) in NotesOf(published, journal))
        {
            if (options.ReasksNoted(note) && inventory.Find(key) is not null)
            {
                inventory.AskAgain(key, earlierSeed: 0);
            }
        }

        return inventory;
    }

    /// <summary>A journal has taken over the notes of what stood published when it began.</summary>
    static IReadOnlyDictionary<TraceKey, string> NotesOf(PublishedTraces published, TraceJournal? journal) =>
        journal?.Dataset is null ? published.Notes : journal.Notes();

    /// <summary>The traces that are there, in no order.</summary>
    public IAsyncEnumerable<Trace> ReadAsync(CancellationToken cancellationToken) => ReadAsync(Inventory.There(), cancellationToken);

    /// <summary>Some of the traces that are there, in no order.</summary>
    public IAsyncEnumerable<Trace> ReadAsync(IReadOnlyList<TraceKey> keys, CancellationToken cancellationToken) =>
        ReadAsync(Inventory, _journal, keys, cancellationToken);

    /// <summary>What stands at the head of the traces that are there, in no order.</summary>
    public async IAsyncEnumerable<TraceHead> HeadsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var (index, shard) in Inventory.Shards.Index())
        {
            await foreach (var head in ShardReader.ReadHeadsAsync(shard.Path, cancellationToken))
            {
                // A later shard or a row may have taken its place.
                if (Inventory.ShardOf(head.Key) == index)
                {
                    yield return head;
                }
            }
        }

        foreach (var trace in _journal?.Read(_journal.Rows()) ?? [])
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return TraceFlaws.HeadOf(trace);
        }
    }

    /// <summary>Gives traces up that are there: they stay until others take their places.</summary>
    /// <param name="keys">At least one.</param>
    /// <param name="note">Why; by it the next run knows of them, too.</param>
    /// <param name="discarded">The same in words for the user.</param>
    public void AskAgain(IReadOnlyList<TraceKey> keys, string note, string discarded)
    {
        _journal ??= _folder.OpenJournal(dataset: null, _options.Synchronous);
        if (_journal.Dataset is null)
        {
            _journal.Describe(Published.Manifest!.Dataset, notes: Published.Notes);
        }

        _journal.Note(keys, note);
        foreach (var key in keys)
        {
            Inventory.AskAgain(key, earlierSeed: 0);
        }

        Discarded = Discarded is null ? discarded : $"{Discarded}; {discarded}";
    }

    /// <summary>The notes of the traces that are there.</summary>
    public IReadOnlyDictionary<TraceKey, string> Notes()
    {
        var there = NotesOf(Published, _journal);
        return there.Where(note => Inventory.Find(note.Key) is not null).ToDictionary();
    }

    /// <summary>Says what the traces to be added have in common; from here on they can be.</summary>
    /// <param name="dataset">Facts that they have in common.</param>
    /// <param name="capabilities">Capabilities of the teacher's endpoint as seen; null where none was asked.</param>
    /// <exception cref="InvalidInputException">
    /// Those that are there were collected in another way; names every setting that differs.
    /// </exception>
    public TraceJournal Describe(DatasetDescription dataset, TeacherCapabilities? capabilities = null)
    {
        if (Published.Manifest is { } manifest)
        {
            DatasetDifference.Ensure(_folder.Path, manifest.Dataset, dataset);
        }

        _options.Identity?.Save(_folder.Path, $".{_folder.Partition.Index}-of-{_folder.Partition.Count}");
        _journal ??= _folder.OpenJournal(dataset: null, _options.Synchronous);
        _journal.IsExact = _options.Layout == SoftTargetLayout.Plain;
        _journal.Describe(dataset, capabilities, Published.Notes);
        return _journal;
    }

    /// <summary>Starts to build shards of what is complete.</summary>
    public ShardCompactor StartCompaction()
    {
        var compactor = new ShardCompactor(new ShardBuilder(_folder, Inventory, _journal!, _options.Layout, Step));
        foreach (var block in Enumerable.Range(0, Inventory.Blocks).Where(Inventory.IsReady))
        {
            compactor.Add(block);
        }

        return compactor;
    }

    /// <summary>Publishes all that is there.</summary>
    /// <param name="missing">Missing traces that the manifest names; null for none.</param>
    /// <param name="cancellationToken">Stops between traces.</param>
    public async Task<PublishedTraces> PublishAsync(MissingTraces? missing, CancellationToken cancellationToken)
    {
        // Nothing was added where only the layout changes: the journal then takes down what stands published.
        var journal = _journal?.Dataset is null ? Describe(Dataset!, Capabilities) : _journal;
        var notes = Notes();
        var published = await new ShardPublisher(
            _folder,
            Inventory,
            journal,
            manifest =>
                manifest with
                {
                    Capabilities = Capabilities,
                    Missing = missing,
                    Unscored = UnscoredTraces.Of(notes.Values),
                    UnscoredKeys = PublishedTraces.KeysOf(notes),
                },
            _options.Layout,
            Step
        ).PublishAsync(cancellationToken);
        Step("delete what earlier partitionings left");
        await Repartitioning.DeleteLeftoversAsync(_folder, cancellationToken);
        return published;
    }

    public async ValueTask DisposeAsync()
    {
        await (_journal?.DisposeAsync() ?? ValueTask.CompletedTask);
        _lock.Dispose();
    }

    /// <summary>
    /// Returns whether a run was cut short between the manifest and the removal of its journal, or before anything was in it.
    /// </summary>
    static bool IsPublished(TraceJournal journal, PublishedTraces published)
    {
        if (published.Manifest is not { } manifest)
        {
            return false;
        }

        var (rows, noted) = (journal.Rows(), published.Notes);
        var known = manifest.Shards.Select(shard => (shard.File, shard.Sha256)).ToHashSet();
        return rows.Count == 0
            && journal.Notes().All(note => noted.GetValueOrDefault(note.Key) == note.Value)
            && journal.Shards().All(shard => known.Contains((shard.Published ?? "", shard.Entry.Sha256)));
    }
}
