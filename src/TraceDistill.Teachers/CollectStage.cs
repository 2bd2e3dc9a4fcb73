using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Prompts;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Tokenization;
using TraceDistill.Core.Verification;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers;

/// <summary>
/// The stage <c>generate</c>: problems → prompt → teacher → journal → shards. Interrupted at any moment and run again, it goes on where it was;
/// a trace that was collected is never asked for again.
/// </summary>
public static class CollectStage
{
    /// <summary>With a larger share of its samples failed, a run that got to its end is still a failure.</summary>
    const double ToleratedFailures = 0.01;

    /// <param name="options">With <see cref="GenerateOptions.Endpoint"/> and <see cref="GenerateOptions.Model"/> set: a model to be served is serving by now.</param>
    /// <param name="directory">Where journal and shards go; made where needed.</param>
    /// <param name="observer">Told of progress, failures and pauses.</param>
    /// <param name="time">The clock of everything.</param>
    /// <param name="cancellationToken">Stops the run; what is in flight is given a few seconds, what was finished is kept.</param>
    /// <exception cref="InvalidInputException">The options, the prompt, the problems or the folder are wrong.</exception>
    /// <exception cref="ExternalFailureException">The teacher cannot do it, or too many samples failed; what was finished is kept.</exception>
    public static async Task<CollectSummary> RunAsync(
        GenerateOptions options, string directory, IRunObserver observer, TimeProvider time, CancellationToken cancellationToken = default)
    {
        var endpoint = TeacherEndpoint.Create(options.Endpoint ?? "", options.Model ?? "", options.ApiKeyEnv, Environment.GetEnvironmentVariable);
        var sampling = SamplingOf(options);
        var plan = await PlanAsync(options, cancellationToken);

        CreateFolder(directory);
        var published = await PublishedTraces.ReadAsync(directory, cancellationToken);
        if (published.Manifest is not null && plan.Traces().All(planned => published.Ids.Contains(planned.Request.Id)))
        {
            await DropPublishedJournalAsync(directory, published);
            return Summarize(published, collected: 0, failed: 0);
        }

        var resilience = new ResilienceOptions
        {
            Concurrency = options.Concurrency,
            AttemptTimeout = options.AttemptTimeout is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        };
        using var teacher = new HttpTeacher(endpoint, resilience, time, observer);
        var tokenizer = (options.Tokenizer ?? options.Serve) is { } folder ? Tokenizer.Load(folder) : null;
        var dataset = Describe(options, endpoint, await ProbeAsync(teacher, sampling, observer, cancellationToken), tokenizer);
        if (published.Manifest is { } manifest)
        {
            DatasetDifference.Ensure(directory, manifest.Dataset, dataset);
        }

        await using var journal = TraceJournal.Open(directory, dataset);
        var present = journal.IdsAtOpening.Concat(published.Ids).ToHashSet();
        var collector = new TraceCollector(
            teacher, MathVerifier.Instance, new TokenResolver(tokenizer), dataset, observer, time, options.Concurrency);
        var tally = await collector.CollectAsync(plan, present, journal, cancellationToken);
        if (present.Count + tally.Collected == 0 && tally.LastFailure is { } failure)
        {
            throw new ExternalFailureException($"not one trace was collected; the last failure: {failure.Message}", failure);
        }

        if (published.Manifest is not null)
        {
            await PublishedTraces.CopyAsync(directory, journal, cancellationToken);
        }

        var summary = Summarize(await ShardPublisher.PublishAsync(plan, journal, dataset, directory, cancellationToken), tally.Collected, tally.Failed);
        if (tally.Failed > 0)
        {
            Report(tally, plan, directory, observer);
        }

        return summary;
    }

    /// <summary>Whether every trace that is published in <paramref name="directory"/> is one that these options ask for.</summary>
    /// <param name="options">As for <see cref="RunAsync"/>.</param>
    /// <remarks>Ids tell problem, prompt, teacher's name, sampling and sample apart; that the name still means the same weights is the caller's to know.</remarks>
    public static async Task<bool> CoversAsync(GenerateOptions options, string directory, CancellationToken cancellationToken = default)
    {
        var published = await PublishedTraces.ReadAsync(directory, cancellationToken);
        var plan = await PlanAsync(options, cancellationToken);
        return published.Ids.IsSubsetOf(plan.Traces().Select(planned => planned.Request.Id));
    }

    static async Task<CollectionPlan> PlanAsync(GenerateOptions options, CancellationToken cancellationToken) => new(
        await ReadProblemsAsync(options, cancellationToken),
        await PromptTemplate.CreateAsync(PromptLibrary.Default.Load(options.Prompt), cancellationToken),
        options.Model ?? "",
        SamplingOf(options),
        options.SamplesPerProblem,
        options.Seed);

    static SamplingSettings SamplingOf(GenerateOptions options) => new()
    {
        Temperature = options.Temperature, TopP = options.TopP, MaxTokens = options.MaxTokens, TopLogprobs = options.TopLogprobs,
    };

    static async Task<List<Problem>> ReadProblemsAsync(GenerateOptions options, CancellationToken cancellationToken)
    {
        var partition = Collection.Partition.Parse(options.Partition);
        return await ProblemReader.ReadAsync(options.Problems, cancellationToken)
            .Take(options.Limit ?? int.MaxValue)
            .Where(problem => partition.Contains(problem.Id))
            .ToListAsync(cancellationToken);
    }

    static async Task<TeacherCapabilities> ProbeAsync(HttpTeacher teacher, SamplingSettings sampling, IRunObserver observer, CancellationToken cancellationToken)
    {
        var capabilities = await teacher.ProbeAsync(sampling, cancellationToken);
        if (capabilities.TopLogprobs < sampling.TopLogprobs)
        {
            observer.Message($"{teacher.Endpoint} grants {capabilities.TopLogprobs} alternatives a token, not {sampling.TopLogprobs}");
        }

        return capabilities;
    }

    static DatasetDescription Describe(GenerateOptions options, TeacherEndpoint endpoint, TeacherCapabilities capabilities, Tokenizer? tokenizer) =>
        capabilities.TokenIdentity == TokenIdentity.Bytes && tokenizer is null
            ? throw new InvalidInputException(
                $"tokenizer: {endpoint} names tokens by their bytes alone; name the folder with the teacher's tokenizer.json (--tokenizer), where their ids are found, or collect text with --top-logprobs 0")
            : new DatasetDescription
            {
                Teacher = endpoint.Model,
                PromptFunction = options.Prompt,
                TokenIdentity = capabilities.TokenIdentity,
                TokenizerHash = tokenizer?.Hash,
                VocabularySize = tokenizer?.VocabularySize,
                ChatTemplateHash = tokenizer?.ChatTemplateSource is { } source ? ChatTemplate.Parse(source, "chat_template").Hash : null,
                TopK = options.TopLogprobs,
                Logprobs = capabilities.Logprobs,
                Temperature = options.Temperature,
                TopP = options.TopP,
            };

    /// <summary>A run that was cut short between manifest and removal of the journal leaves both. A journal with more in it stays.</summary>
    static async Task DropPublishedJournalAsync(string directory, PublishedTraces published)
    {
        if (!TraceJournal.ExistsIn(directory))
        {
            return;
        }

        bool isPublished;
        await using (var journal = TraceJournal.Open(directory, published.Manifest!.Dataset))
        {
            isPublished = published.Ids.IsSupersetOf(journal.IdsAtOpening);
        }

        if (isPublished)
        {
            TraceJournal.Delete(directory);
        }
    }

    static void CreateFolder(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{directory}: cannot be made ({e.Message.TrimEnd('.')}); name a folder that you may write to with --out", e);
        }
    }

    static void Report(CollectionTally tally, CollectionPlan plan, string directory, IRunObserver observer)
    {
        var told = $"{tally.Failed} of {plan.Count} samples failed, the last for this reason: {tally.LastFailure!.Message}; the others are published in {directory}, and running the same command again asks for these alone";
        if (tally.Failed > ToleratedFailures * plan.Count)
        {
            throw new ExternalFailureException(told, tally.LastFailure);
        }

        observer.Message(told);
    }

    static CollectSummary Summarize(PublishedTraces published, long collected, long failed)
    {
        var manifest = published.Manifest!;
        return new CollectSummary(
            manifest.Rows, published.Correct, manifest.Tokens, manifest.Bytes, (double)manifest.Bytes / Math.Max(1, manifest.Tokens), manifest.Dataset.TopK, collected, failed);
    }
}
