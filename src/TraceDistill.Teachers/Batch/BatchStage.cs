using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Batch;

/// <summary>
/// Collection without a connection: requests leave in a file, and results come back in files. The endpoint is never called.
/// </summary>
public static class BatchStage
{
    const int IdsNamed = 5;
    const int ImportedAtATime = 4; // more than the cores that decode them
    const int MostLookedAt = 100;

    /// <summary>Writes a request for each trace that is wanted and not there yet.</summary>
    /// <param name="options">With <see cref="GenerateOptions.BatchOut"/>.</param>
    /// <param name="directory">Where the traces are, and are to be.</param>
    /// <param name="observer">Takes the number of them.</param>
    /// <param name="cancellationToken">Ends writing; no file is left.</param>
    /// <exception cref="InvalidInputException">The options, the prompt, the problems, the folder or the file are wrong.</exception>
    public static async Task<BatchSummary> WriteAsync(
        GenerateOptions options,
        string directory,
        IRunObserver observer,
        CancellationToken cancellationToken = default
    )
    {
        await using var store = await CollectStage.OpenAsync(options, directory, observer, cancellationToken);
        var wanted = store
            .Plan.ReadAsync(store.Inventory.IsWanted, cancellationToken)
            .Select(planned =>
                (BatchRequestId.Of(store.Plan, store.Inventory, planned.Position), store.Inventory.AsAskedFor(planned).Request)
            );
        var summary = await BatchRequestFile.WriteAsync(
            options.BatchOut!,
            DialectOf(options),
            options.Model!,
            wanted,
            BatchBounds.OpenAI,
            cancellationToken
        );
        observer.Message(
            $"{summary.Requests:N0} requests are in {string.Join(", ", summary.Files)}; import what comes back with --batch-in"
        );
        return summary;
    }

    /// <summary>Takes in results, and publishes the traces once none is missing but what may be.</summary>
    /// <param name="options">With <see cref="GenerateOptions.BatchIn"/>.</param>
    /// <param name="directory">Where the traces go.</param>
    /// <param name="verifier">Grades each trace as it is taken in.</param>
    /// <param name="observer">Notified of progress, and of results that are none or not wanted.</param>
    /// <param name="time">The clock of everything.</param>
    /// <param name="publishing">Writes what belongs beside the traces; invoked when they are about to be published.</param>
    /// <param name="cancellationToken">Stops; what was taken in is kept.</param>
    /// <exception cref="InvalidInputException">
    /// The options, the problems, the folder or a file are wrong, or not one result is wanted.
    /// </exception>
    /// <exception cref="ExternalFailureException">
    /// Traces are missing in the end, or all requests failed; what was taken in is kept in the journal.
    /// </exception>
    public static async Task<CollectSummary> ImportAsync(
        GenerateOptions options,
        string directory,
        IVerifier verifier,
        IRunObserver observer,
        TimeProvider time,
        Action publishing,
        CancellationToken cancellationToken = default
    )
    {
        await using var store = await CollectStage.OpenAsync(options, directory, observer, cancellationToken);
        var dialect = DialectOf(options);
        var (markers, isOpened) = TeacherEndpoint.ReasoningOf(options.Tokenizer, options.ReasoningMarkers);
        var form = new ReplyForm(dialect.ListsEndOfSequence, isOpened, markers);
        string IdOf(int position) => BatchRequestId.Of(store.Plan, store.Inventory, position);
        var askedAgain = Enumerable
            .Range(0, store.Inventory.PlanCount)
            .Where(position => store.Inventory.NewSeed(position) is not null)
            .Select(IdOf)
            .ToHashSet();
        using var results = await BatchResults.OpenAsync(
            options.BatchIn,
            form,
            id => store.Inventory.Find(TraceKey.Of(id)) is not null || askedAgain.Contains(id),
            cancellationToken
        );
        Tell(results, observer);
        bool IsAnswered(int position) => store.Inventory.IsWanted(position) && results.Has(IdOf(position));
        var answered = Enumerable.Range(0, store.Inventory.PlanCount).Where(IsAnswered).Take(MostLookedAt).Select(IdOf).ToList();
        if (answered.Count == 0)
        {
            if (store.IsFinished)
            {
                publishing();
            }

            return store.IsFinished ? CollectStage.Summarize(store.Published, collected: 0, failed: 0)
                : results.Failures.Count > 0 && results.Unknown.Count == 0
                    ? throw new ExternalFailureException(
                        $"batch_in: all {results.Failures.Count:N0} requests of the batch failed, "
                            + $"the first for this reason: {results.Failures[0].Reason}; --batch-out writes them again"
                    )
                : throw new InvalidInputException(
                    $"batch_in: {string.Join(", ", options.BatchIn)} answers none of the {store.Inventory.Wanted:N0} "
                        + "requests that are wanted; give the options that the batch was written with"
                );
        }

        var tokenizer = options.Tokenizer is { } path ? Tokenizer.Load(path) : null;
        var capabilities = CapabilitiesIn(results, answered, options, dialect);
        var source = SoftTargetPolicy.Apply(results, capabilities, options.RequireSoftTargets, observer);
        var dataset = CollectStage.Describe(options, store.Plan.PromptName, "the batch", capabilities, tokenizer);
        var there = store.Dataset;
        if (there is not null)
        {
            // One answer shows less than a probe did.
            dataset = dataset with { TokenIdentity = there.TokenIdentity, Logprobs = there.Logprobs, TopK = there.TopK };
        }
        else if (dataset.TopK > 0 && options is not { Temperature: 1, TopP: 1 })
        {
            observer.Message(
                "a batch does not show whether logprobs follow the temperature; "
                    + "taken for the model's own, as OpenAI and vLLM give them by default"
            );
        }

        var journal = store.Describe(dataset, there is null ? capabilities : null);
        await using var compactor = store.StartCompaction();
        var collector = new TraceCollector(
            source,
            verifier,
            new TokenResolver(tokenizer),
            dataset,
            observer,
            time,
            ImportedAtATime,
            CollectionBudget.Unlimited
        );
        var tally = await collector.CollectAsync(store.Plan, IsAnswered, store.Inventory, journal, compactor, cancellationToken);
        if (store.Inventory.Present == 0)
        {
            throw new InvalidInputException(
                $"batch_in: no result could be imported; the last failure: {tally.LastFailure?.Message}",
                tally.LastFailure
            );
        }

        observer.Message($"{tally.Collected:N0} results imported");
        var missing = CollectStage.MissingOf(
            options,
            store,
            tally,
            "--batch-out writes a batch of what is missing alone, and an endpoint is asked for that alone",
            observer
        );
        publishing();
        return CollectStage.Summarize(await store.PublishAsync(missing, cancellationToken), tally.Collected, tally.Failed);
    }

    /// <summary>Names what nobody asked for, and what failed.</summary>
    static void Tell(BatchResults results, IRunObserver observer)
    {
        if (results.Unknown.Count > 0)
        {
            observer.Message(
                $"{results.Unknown.Count:N0} results match no request of this collection and are skipped: {Some(results.Unknown)}"
            );
        }

        if (results.Failures.Count > 0)
        {
            var failures = results.Failures.Select(failure => $"{failure.CustomId} ({failure.Reason})").ToList();
            observer.Message($"{failures.Count:N0} requests of the batch failed: {Some(failures)}");
        }
    }

    static string Some(IReadOnlyList<string> ids) =>
        string.Join(", ", ids.Take(IdsNamed)) + (ids.Count > IdsNamed ? $" and {ids.Count - IdsNamed:N0} more" : "");

    /// <summary>
    /// The dialect that is named, else the one that the endpoint's host is known for, else OpenAI's, whose format it is.
    /// </summary>
    static Dialect DialectOf(GenerateOptions options)
    {
        var dialect = KnownDialects.Find(options.Dialect)
            ?? (Uri.TryCreate(options.Endpoint, UriKind.Absolute, out var endpoint) ? DialectDetector.OfHost(endpoint.Host) : null)
            ?? KnownDialects.OpenAI;
        return dialect.IsSglangGenerate
            ? throw new InvalidInputException($"dialect: {dialect.Name} has no batches; name another")
            : dialect;
    }

    /// <summary>
    /// Capabilities that the first answer with soft targets shows; where none of those looked at has any, those that the first one shows.
    /// </summary>
    /// <exception cref="InvalidInputException">None of them can be read.</exception>
    static TeacherCapabilities CapabilitiesIn(
        BatchResults results,
        IReadOnlyList<string> answered,
        GenerateOptions options,
        Dialect dialect
    )
    {
        var (first, failure) = (default(TeacherCapabilities), default(InvalidInputException));
        foreach (var id in answered)
        {
            try
            {
                var capabilities = CapabilitiesIn(results.Read(id, CollectStage.SamplingOf(options)), options, dialect);
                if (capabilities.SoftTargetProblem is null)
                {
                    return capabilities;
                }

                first ??= capabilities;
            }
            catch (InvalidInputException e)
            {
                failure ??= e;
            }
        }

        return first ?? throw failure!;
    }

    /// <summary>Capabilities that one answer shows.</summary>
    static TeacherCapabilities CapabilitiesIn(GenerationResult answer, GenerateOptions options, Dialect dialect)
    {
        var problem =
            options.TopLogprobs == 0 ? null
            : answer.Logprobs is not { } logprobs
                ? "the batch's answers have no logprobs by token ids or bytes; import text with require_soft_targets: false"
            : LogprobCheck.Problem(logprobs, CollectStage.SamplingOf(options)) is { } fault
                ? $"the batch {fault}; import text with require_soft_targets: false"
            : null;
        return new TeacherCapabilities
        {
            Dialect = dialect.Name,
            TokenIdentity = answer.Logprobs switch
            {
                _ when problem is not null => TokenIdentity.Text,
                null => TokenIdentity.Text,
                { TokenBytes: not null } => TokenIdentity.Bytes,
                _ => TokenIdentity.Ids,
            },
            TopLogprobs = problem is null && answer.Logprobs is { K: > 0 } known ? LogprobCheck.MostAlternatives(known) : 0,
            PromptTokenIds = answer.PromptTokenIds is not null,
            SoftTargetProblem = problem,
        };
    }
}
