using System.Globalization;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers;

/// <summary>
/// The stage <c>generate</c>: problems → prompt → teacher → journal → shards. Interrupted at any moment and run again, it goes on where it
/// was; a trace that was collected is never asked for again.
/// </summary>
public static class CollectStage
{
    /// <param name="options">With <see cref="TeacherOptions.Endpoint"/> and <see cref="TeacherOptions.Model"/> set: a model to be served
    /// is serving by now.</param>
    /// <param name="directory">Where journal and shards go; made where needed.</param>
    /// <param name="verifier">Grades each trace as it arrives.</param>
    /// <param name="observer">Notified of progress, failures and pauses.</param>
    /// <param name="time">The clock of everything.</param>
    /// <param name="cancellationToken">Stops the run; what is in flight is given a few seconds, what was finished is kept.</param>
    /// <exception cref="InvalidInputException">The options, the prompt, the problems or the folder are wrong.</exception>
    /// <exception cref="ExternalFailureException">The teacher cannot do it, or traces are missing in the end; what was finished is kept in
    /// the journal.</exception>
    public static Task<CollectSummary> RunAsync(
        GenerateOptions options,
        string directory,
        IVerifier verifier,
        IRunObserver observer,
        TimeProvider time,
        CancellationToken cancellationToken = default
    ) => RunAsync(options, directory, verifier, observer, time, () => { }, among: null, cancellationToken);

    /// <inheritdoc cref="RunAsync(GenerateOptions, string, IVerifier, IRunObserver, TimeProvider, CancellationToken)"/>
    /// <param name="among">
    /// Folder of published traces with which these are to be one data set: as many alternatives are kept as they have, and a teacher that
    /// answers otherwise is refused before it is asked. Null for none.
    /// </param>
    /// <param name="publishing">
    /// Writes what belongs beside the traces; invoked when they are about to be published, since the manifest says that all is there.
    /// </param>
    public static async Task<CollectSummary> RunAsync(
        GenerateOptions options,
        string directory,
        IVerifier verifier,
        IRunObserver observer,
        TimeProvider time,
        Action publishing,
        string? among,
        CancellationToken cancellationToken
    )
    {
        await using var store = await OpenAsync(options, directory, observer, cancellationToken);
        var folder = store.Folder;
        if (store.Adopted > 0)
        {
            observer.Message($"reused {store.Adopted:N0} traces that were collected here under another partitioning");
        }

        if (await Regrading.RunAsync(store, verifier, cancellationToken) is > 0 and var regraded)
        {
            observer.Message(
                $"{options.Problems}: has other answers by now to the problems of {Counted.Of(regraded, "trace")} that "
                    + $"{(regraded == 1 ? "is" : "are")} there; graded anew, and not asked for again"
            );
        }

        if (store.IsFinished)
        {
            publishing();
            return Summarize(store.Published, collected: 0, failed: 0) with { Usage = UsageLedger.Summarize(folder.UsageFile) };
        }

        CollectionTally? tally = null;
        CollectionBudget? budget = null;
        if (store.NeedsTeacher)
        {
            using var asking = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var endpoints = PooledEndpoints.Of(options, options.ReasoningMarkers, options.Stream);
            using var account = new TeacherAccount(options, endpoints, folder, time, observer, asking.Token);
            var teacher = account.Teacher;
            budget = account.Budget;
            var tokenizer = (options.Tokenizer ?? options.Serve) is { } path ? Tokenizer.Load(path) : null;
            var capabilities = await ProbeAsync(teacher, SamplingOf(options), store.Capabilities, observer, cancellationToken);
            var source = SoftTargetPolicy.Apply(teacher, capabilities, options.RequireSoftTargets, observer);
            var others = among is null ? null : ShardManifest.Load(among);
            var dataset = WithGranted(
                Describe(options, store.Plan.PromptName, teacher.ToString(), capabilities, tokenizer),
                capabilities,
                store.Dataset ?? others?.Dataset,
                store.Dataset is null ? others?.Capabilities : store.Capabilities
            );
            if (others is not null)
            {
                const string Remedy = "have the endpoint of then answer, or give those up with --discard";
                DatasetDifference.Ensure(among!, others.Dataset, dataset, Remedy);
            }

            var journal = store.Describe(dataset, capabilities);
            await using var compactor = store.StartCompaction();
            var retryFor = TimeSpan.FromSeconds(options.RetryFor);
            var collector = new TraceCollector(
                source,
                verifier,
                new TokenResolver(tokenizer),
                dataset,
                observer,
                time,
                account.AtATime,
                budget,
                retryFor,
                asking
            );
            tally = await collector.CollectAsync(store.Plan, store.Inventory, journal, compactor, cancellationToken);
            if (tally.Unfinished is { } unfinished)
            {
                observer.Message(
                    $"new traces without an end of the model's own, by the server's word: {unfinished}; "
                        + "train leaves them out, and reask: [length, refusal, unfinished] asks for them again"
                );
            }

            if (dataset.TopK > 0 && tally.WithoutLogprobs > 0)
            {
                observer.Message(
                    $"{tally.WithoutLogprobs:N0} of {tally.Collected:N0} new traces have no soft targets and serve the hard loss alone: "
                        + tally.DescribeLacks()
                );
            }

            if (store.Inventory.Present == 0 && tally.LastFailure is { } failure)
            {
                throw new ExternalFailureException($"not one trace was collected; the last failure: {failure.Message}", failure);
            }

            if (store.Inventory.Present == 0 && budget.IsSpent)
            {
                throw new BudgetSpentException(
                    budget.SpentSetting!,
                    $"is not enough for one trace, which may be {options.MaxTokens:N0} tokens long; raise it, or lower max_tokens"
                );
            }
        }

        const string Next = "running the same command again asks for what is missing alone";
        var missing = budget is { IsSpent: true } ? null : MissingOf(options, store, tally, Next, observer);
        publishing();
        var summary = Summarize(await store.PublishAsync(missing, cancellationToken), tally?.Collected ?? 0, tally?.Failed ?? 0) with
        {
            StoppedBy = budget is { IsSpent: true } ? "budget" : null,
            SpentSetting = budget?.SpentSetting,
            Usage = UsageLedger.Summarize(folder.UsageFile),
        };
        if (budget is { IsSpent: true })
        {
            observer.Message(
                $"the budget is spent ({budget.Describe()}): {summary.Count:N0} of {store.Plan.Keys.Length:N0} traces are published; "
                    + "raise it and run again for the others"
            );
        }

        return summary;
    }

    /// <summary>Finds out what these options would do in a folder, which nothing is changed in.</summary>
    /// <param name="options">As for the run.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The options, the prompt, the problems or the folder are wrong.</exception>
    public static async Task<CollectionPreview> PreviewAsync(
        GenerateOptions options,
        string directory,
        CancellationToken cancellationToken = default
    )
    {
        var plan = await PlanAsync(options, Journal.Partition.Whole, cancellationToken);
        return await CollectionPreview.OfAsync(plan, StoreOptionsOf(options), directory, cancellationToken);
    }

    /// <summary>The files in <paramref name="directory"/> that say what its collection has taken of its teacher so far.</summary>
    public static IEnumerable<string> UsageFilesIn(string directory) => Directory.EnumerateFiles(directory, OutputFolder.UsageFiles);

    /// <summary>What a collection has used of its teacher so far; null where nothing is known.</summary>
    public static CollectionUsage? UsageOf(string directory) =>
        Directory.Exists(directory) ? UsageLedger.Summarize(new OutputFolder(directory, Partition.Whole).UsageFile) : null;

    /// <summary>The file in <paramref name="directory"/> that says what its traces were asked for with; null where there is none.</summary>
    public static string? OptionsFileIn(string directory) =>
        Path.Combine(directory, CollectionIdentity.FileName) is var file && File.Exists(file) ? file : null;

    /// <summary>
    /// The options that make a collection's traces what they are, each with its value in words; files by what is in them.
    /// </summary>
    /// <exception cref="InvalidInputException">A file that an option names cannot be read.</exception>
    public static IReadOnlyDictionary<string, string> IdentityOf(GenerateOptions options) => CollectionIdentity.Of(options).Values;

    /// <summary>
    /// Deletes the traces in <paramref name="directory"/>, if there are any. What they took of their teacher stays counted.
    /// </summary>
    /// <exception cref="ExternalFailureException">A process is at work there.</exception>
    public static void Discard(string directory)
    {
        if (Directory.Exists(directory))
        {
            var folder = new OutputFolder(directory, Journal.Partition.Whole);
            using var @lock = folder.TakeLock();
            folder.DeleteAll();
        }
    }

    /// <summary>Returns whether a collection has begun in <paramref name="directory"/>.</summary>
    public static bool HasBegunIn(string directory) => ShardManifest.Load(directory) is not null || TraceJournal.ExistsIn(directory);

    /// <summary>Looks at what is wanted and what is there.</summary>
    internal static async Task<TraceStore<CollectionPlan>> OpenAsync(
        GenerateOptions options,
        string directory,
        IRunObserver observer,
        CancellationToken cancellationToken
    )
    {
        var folder = new OutputFolder(directory, PartitionOf(options, observer));
        folder.Create();
        var store = await TraceStore<CollectionPlan>.OpenAsync(
            folder,
            partition => PlanAsync(options, partition, cancellationToken),
            StoreOptionsOf(options),
            cancellationToken
        );
        if (store.Discarded is { } discarded)
        {
            observer.Message($"{directory}: {discarded}; they are discarded");
        }

        foreach (var message in store.Plan.Counts.Describe(options.Problems))
        {
            observer.Message(message);
        }

        return store;
    }

    static async Task<CollectionPlan> PlanAsync(GenerateOptions options, Partition partition, CancellationToken cancellationToken)
    {
        var plan = await CollectionPlan.CreateAsync(
            new ProblemSource(options.Problems, options.Limit, partition) { Options = options },
            await PromptSet.CreateAsync(options, cancellationToken),
            options.Model ?? "",
            SamplingOf(options),
            options.SamplesPerProblem,
            options.Seed,
            cancellationToken
        );
        return options is { OnlyCorrect: true, MinAgreement: null } && plan.Counts.Unanswered == plan.Counts.Problems
            ? throw new InvalidInputException(
                $"only_correct: none of the problems in {options.Problems} has an answer, so no trace can be correct; "
                    + "name the field that holds it with answer_field, or go by what samples agree on (min_agreement)"
            )
            : plan;
    }

    static Partition PartitionOf(GenerateOptions options, IRunObserver observer)
    {
        if (options.Partition is not null)
        {
            return Journal.Partition.Parse(options.Partition);
        }

        if (PartitionEnvironment.Find(Environment.GetEnvironmentVariable, options.Partitions) is { } found)
        {
            observer.Message($"collects partition {found.Partition.Index} of {found.Partition.Count}, as {found.Variable} says");
            return found.Partition;
        }

        return options.Partitions is null
            ? Journal.Partition.Whole
            : throw new InvalidInputException(
                "partitions: says how many there are, and nothing says which one this is; say it with --partition i/N"
            );
    }

    static StoreOptions StoreOptionsOf(GenerateOptions options)
    {
        var rows = options.ShardRows ?? StoreOptions.RowsFor(options.MaxTokens, options.Alternatives, options.Layout);
        return new StoreOptions(BlockCut.Every(rows), options.Reask, options.Synchronous)
        {
            Identity = CollectionIdentity.Of(options),
            Discard = options.Discard,
            Layout = options.Layout,
        };
    }

    internal static SamplingSettings SamplingOf(GenerateOptions options) =>
        new()
        {
            Temperature = options.Temperature,
            TopP = options.TopP,
            MaxTokens = options.MaxTokens,
            TopLogprobs = options.Alternatives,
            DrawsAlternatives = options.SampledLogprobs is not null,
            ExtraBody = ExtraBody.Canonical(options.ExtraBody),
        };

    static async Task<TeacherCapabilities> ProbeAsync(
        TeacherPool teacher,
        SamplingSettings sampling,
        TeacherCapabilities? known,
        IRunObserver observer,
        CancellationToken cancellationToken
    )
    {
        var capabilities = await teacher.ProbeAsync(sampling, known, cancellationToken);
        observer.Message($"{teacher}: {capabilities}");
        if (capabilities.SoftTargetProblem is null && capabilities.TopLogprobs < sampling.TopLogprobs)
        {
            observer.Message($"{teacher} returns {capabilities.TopLogprobs} alternatives per token, not {sampling.TopLogprobs}");
        }

        return capabilities;
    }

    internal static DatasetDescription Describe(
        GenerateOptions options,
        string prompt,
        string teacher,
        TeacherCapabilities capabilities,
        Tokenizer? tokenizer
    ) =>
        capabilities.TokenIdentity == TokenIdentity.Bytes && tokenizer is null
            ? throw new InvalidInputException(
                $"tokenizer: {teacher} names tokens by their bytes alone; name the folder with the teacher's tokenizer.json (--tokenizer), "
                    + "where their ids are found, or collect text with --top-logprobs 0"
            )
            : new DatasetDescription
            {
                Teacher = options.Model ?? "",
                PromptFunction = prompt,
                TokenIdentity = capabilities.TokenIdentity,
                TokenizerHash = tokenizer?.Hash,
                VocabularySize = tokenizer?.VocabularySize,
                ChatTemplateHash = tokenizer?.ChatTemplateSource is { } source ? ChatTemplate.Parse(source, "chat_template").Hash : null,
                TopK = capabilities.SoftTargetProblem is null ? options.Alternatives : 0,
                SampledLogprobs = capabilities.SoftTargetProblem is null ? options.SampledLogprobs : null,
                // Under neutral settings the two kinds are the same numbers; draws are of the raw ones.
                Logprobs =
                    options.SampledLogprobs is not null
                    || (options.Temperature == 1 && SamplingDistortions.Of(options.TopP, ExtraBody.Canonical(options.ExtraBody)).Count == 0)
                        ? LogprobKind.Raw
                        : capabilities.Logprobs ?? LogprobKind.Raw,
                Temperature = options.Temperature,
                TopP = options.TopP,
                ExtraBody = ExtraBody.Canonical(options.ExtraBody),
            };

    /// <summary>
    /// As many alternatives as the endpoint grants, where that is fewer than were asked for. Of a distribution that filters have cut every
    /// token has another number of them, and a probe has not seen the most.
    /// </summary>
    /// <param name="dataset">With those asked for.</param>
    /// <param name="capabilities">Tell those granted.</param>
    /// <param name="there">What the traces that are there have.</param>
    /// <param name="before">What their endpoint was seen to grant.</param>
    static DatasetDescription WithGranted(
        DatasetDescription dataset,
        TeacherCapabilities capabilities,
        DatasetDescription? there,
        TeacherCapabilities? before
    ) =>
        dataset is { Logprobs: LogprobKind.Raw, SampledLogprobs: null, TopK: > 0 }
            ? dataset with
            {
                TopK = GrantedAlternatives.Of(dataset.TopK, capabilities.TopLogprobs, there, before),
            }
            : dataset;

    /// <summary>Traces that the data set lacks with the user's leave; null where it lacks nothing.</summary>
    /// <param name="next">Advice on the missing traces, as a sentence.</param>
    /// <exception cref="ExternalFailureException">It lacks more than that.</exception>
    internal static MissingTraces? MissingOf(
        GenerateOptions options,
        TraceStore<CollectionPlan> store,
        CollectionTally? tally,
        string next,
        IRunObserver observer
    )
    {
        var (missing, wanted) = (store.Inventory.Missing, store.Inventory.PlanCount);
        if (missing == 0)
        {
            return null;
        }

        var reasons = tally?.DescribeFailures() is { Length: > 0 } told ? $": {told}" : "";
        var count = $"{missing:N0} of {wanted:N0} traces {(missing == 1 ? "is" : "are")} missing";
        if (missing > options.AllowMissing * wanted)
        {
            throw new ExternalFailureException(
                $"{count}{reasons}; what was collected is kept, and {next} "
                    + $"(or take what is there with allow_missing: {Share(missing, wanted)})",
                tally?.LastFailure
            );
        }

        observer.Message($"{count}, as allow_missing permits{reasons}");
        return new MissingTraces(missing, options.AllowMissing);
    }

    /// <summary>The smallest fraction of few digits that lets so many be missing.</summary>
    static string Share(int missing, int wanted) => (Math.Ceiling(1000.0 * missing / wanted) / 1000).ToString(CultureInfo.InvariantCulture);

    internal static CollectSummary Summarize(PublishedTraces published, long collected, long failed)
    {
        var manifest = published.Manifest!;
        var counts = published.Shards.Aggregate(default(TraceCounts), (sum, shard) => sum + shard.Counts);
        return new CollectSummary(
            manifest.Rows,
            counts.Correct,
            manifest.Tokens,
            manifest.Bytes,
            (double)manifest.Bytes / Math.Max(1, manifest.Tokens),
            manifest.Dataset.TopK,
            collected,
            failed,
            counts.Length,
            counts.Refusal,
            counts.Empty
        )
        {
            Missing = manifest.Missing?.Count ?? 0,
            Unfinished = counts.Unfinished,
        };
    }
}
