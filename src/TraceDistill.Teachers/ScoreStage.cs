using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Teachers.Scoring;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Texts;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers;

/// <summary>The teacher of a scoring, as far as it is known before anything is asked.</summary>
/// <param name="Model">Its name.</param>
/// <param name="Tokenizer">Its tokenizer.</param>
/// <param name="TemplateHash">Hash of its chat template.</param>
/// <param name="Write">Writes text in its tokens.</param>
public sealed record ScoringTeacher(string Model, Tokenizer Tokenizer, string TemplateHash, TeacherTextWriter Write)
{
    /// <summary>Loads it into this process, with room for a text of so many tokens; disposed of by the caller where it can be.</summary>
    /// <value>Null: it is asked at its endpoints.</value>
    public Func<int, ITokenScorer>? Load { get; init; }
}

/// <summary>
/// The stage <c>score</c>: text that exists → teacher → journal → shards, each row of the source once, in its order and its cut.
/// Interrupted at any moment and run again, it goes on where it was; a row that was scored is never asked for again.
/// </summary>
public static class ScoreStage
{
    static readonly ChatMessage[] ProbeQuestion = [new("user", "What is 12 + 34?")];

    /// <param name="options">With <see cref="TeacherOptions.Endpoint"/> and <see cref="TeacherOptions.Model"/> set where a model is served:
    /// it is serving by now.</param>
    /// <param name="directory">Where journal and shards go; made where needed.</param>
    /// <param name="teacher">Scores.</param>
    /// <param name="verifier">Grades worked solutions, whose answers are the known ones.</param>
    /// <param name="observer">Notified of progress, failures and pauses.</param>
    /// <param name="time">The clock of everything.</param>
    /// <param name="cancellationToken">Stops the run; what is in flight is given a few seconds, what was finished is kept.</param>
    /// <exception cref="InvalidInputException">The options, the source or the folder are wrong, or the budget is not enough.</exception>
    /// <exception cref="ExternalFailureException">The teacher cannot do it, or rows are missing in the end; what was finished is kept in
    /// the journal.</exception>
    public static Task<ScoreSummary> RunAsync(
        ScoreOptions options,
        string directory,
        ScoringTeacher teacher,
        IVerifier verifier,
        IRunObserver observer,
        TimeProvider time,
        CancellationToken cancellationToken = default
    ) => RunAsync(options, directory, teacher, verifier, observer, time, () => { }, cancellationToken);

    /// <inheritdoc cref="RunAsync(ScoreOptions, string, ScoringTeacher, IVerifier, IRunObserver, TimeProvider, CancellationToken)"/>
    /// <param name="publishing">
    /// Writes what belongs beside the traces; invoked when they are about to be published, since the manifest says that all is there.
    /// </param>
    public static async Task<ScoreSummary> RunAsync(
        ScoreOptions options,
        string directory,
        ScoringTeacher teacher,
        IVerifier verifier,
        IRunObserver observer,
        TimeProvider time,
        Action publishing,
        CancellationToken cancellationToken
    )
    {
        var source = await OpenAsync(options, verifier, cancellationToken);
        var identity = CollectionIdentity.Of(options, teacher.Model, teacher.Tokenizer, teacher.TemplateHash);
        var folder = new OutputFolder(directory, Journal.Partition.Whole);
        folder.Create();
        await using var store = await TraceStore<TextPlan>.OpenAsync(
            folder,
            _ => TextPlan.CreateAsync(source, cancellationToken),
            StoreOptionsOf(options, source, identity),
            cancellationToken
        );
        await EnsureSameTextsAsync(store, identity, options, source.Path, cancellationToken);
        Tell(store, source, directory, observer);
        if (store.IsFinished)
        {
            publishing();
            return Summarize(store.Published, added: 0, folder);
        }

        var added = 0L;
        if (store.NeedsTeacher)
        {
            var context = await ContextAsync(options, cancellationToken);
            if (context is not null)
            {
                await EnsureContextAsync(store, context, cancellationToken);
            }

            using var asking = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            using var account = teacher.Load is null
                ? new TeacherAccount(options, PooledEndpoints.Of(options, [], isStreamed: false), folder, time, observer, asking.Token)
                : null;
            var local = teacher.Load?.Invoke(
                await LongestAsync(store, EncoderOf(teacher, source, capabilities: null, context), cancellationToken)
            );
            using var loaded = local as IDisposable;
            using var measured = local is null ? null : new MeasuredScorer(local, teacher.Model, options.Concurrency, time);
            var (scorer, capabilities) = measured is not null
                ? (measured, null)
                : await ProbeAsync(account!.Teacher, options, teacher, observer, cancellationToken);
            var encoder = EncoderOf(teacher, source, capabilities, context);
            var dataset = Describe(options, source, teacher, capabilities, store.Dataset, store.Capabilities);
            var journal = store.Describe(dataset, capabilities);
            await using var compactor = store.StartCompaction();
            var budget = account?.Budget ?? CollectionBudget.Unlimited;
            var noted = store.Notes().Count;
            var tally = await new TextScorer(
                new TokensInFlight(scorer, options.MaxTokensInFlight),
                encoder,
                dataset,
                options.Seed,
                observer,
                time,
                account?.AtATime ?? TeacherAccount.AtATimeFor(options.Concurrency),
                budget,
                (int)(options.AllowMissing * store.Plan.Keys.Length),
                store.Inventory.Present - noted,
                TimeSpan.FromSeconds(options.RetryFor),
                asking
            ).ScoreAsync(store.Plan, store.Inventory, journal, compactor, cancellationToken);
            added = tally.Collected;
            EnsureWhole(options, store, tally, budget);
        }

        publishing();
        return Summarize(await store.PublishAsync(missing: null, cancellationToken), added, folder);
    }

    /// <summary>Finds out what these options would do in a folder, which nothing is changed in.</summary>
    /// <param name="options">As for the run.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="teacher">As for the run.</param>
    /// <param name="verifier">As for the run.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The options, the source or the folder are wrong.</exception>
    public static async Task<CollectionPreview> PreviewAsync(
        ScoreOptions options,
        string directory,
        ScoringTeacher teacher,
        IVerifier verifier,
        CancellationToken cancellationToken = default
    )
    {
        var source = await OpenAsync(options, verifier, cancellationToken);
        var plan = await TextPlan.CreateAsync(source, cancellationToken);
        var identity = CollectionIdentity.Of(options, teacher.Model, teacher.Tokenizer, teacher.TemplateHash);
        return await CollectionPreview.OfAsync(plan, StoreOptionsOf(options, source, identity), directory, cancellationToken);
    }

    static StoreOptions StoreOptionsOf(ScoreOptions options, ITextSource source, CollectionIdentity identity) =>
        new(source.Cut, [], options.Synchronous)
        {
            Identity = identity,
            Discard = options.Discard,
            Layout = options.Layout,
            ReasksNoted = reason =>
                reason is TextScorer.Failed or TextScorer.Changed || (options.ReaskTooLong && reason == UnscorableTextException.TooLong),
        };

    /// <summary>Of a source that is another one by now, rows that are what they were keep their scores.</summary>
    /// <exception cref="InvalidInputException">Some are not, and may not be given up.</exception>
    static async Task EnsureSameTextsAsync(
        TraceStore<TextPlan> store,
        CollectionIdentity identity,
        ScoreOptions options,
        string source,
        CancellationToken cancellationToken
    )
    {
        if (CollectionIdentity.Load(store.Folder.Path) is not { } then || then.IsOfSameSource(identity))
        {
            return;
        }

        var changed = await store.Plan.FindChangedAsync(store.ReadAsync(cancellationToken), cancellationToken);
        if (changed.Count == 0)
        {
            return;
        }

        var are = changed.Count == 1 ? "is another" : "are others";
        var difference = $"holds scores of {Counted.Of(changed.Count, "trace")} that {are} in {source} by now, such as {changed[0]}";
        if (!options.Discard)
        {
            throw LeftOver.Refusal(store.Folder.Path, difference);
        }

        store.AskAgain(changed, TextScorer.Changed, difference);
    }

    /// <summary>The teacher's own prompt of each text; null where it reads the text's.</summary>
    /// <exception cref="InvalidInputException">The prompt or a file of problems cannot be used.</exception>
    static async Task<Func<Trace, IReadOnlyList<ChatMessage>>?> ContextAsync(ScoreOptions options, CancellationToken cancellationToken)
    {
        if (options.Prompt is not { } name)
        {
            return null;
        }

        var prompt = await PromptTemplate.CreateAsync(PromptLibrary.Default.Load(name), isPrivileged: true, cancellationToken);
        IReadOnlyList<string> files = options.Problems is { } solutions ? [solutions] : options.PromptProblems;
        var problems = await TraceProblems.ReadAsync(files, options, "prompt_problems", cancellationToken);
        return trace => prompt.Render(problems.Of(trace));
    }

    /// <summary>A problem that lacks what the prompt shows is found out before the teacher is asked, and not a row at a time.</summary>
    static async Task EnsureContextAsync(
        TraceStore<TextPlan> store,
        Func<Trace, IReadOnlyList<ChatMessage>> context,
        CancellationToken cancellationToken
    )
    {
        await foreach (var text in store.Plan.ReadAsync(store.Inventory.IsWanted, cancellationToken))
        {
            _ = context(text.Trace);
        }
    }

    static TextEncoder EncoderOf(
        ScoringTeacher teacher,
        ITextSource source,
        TeacherCapabilities? capabilities,
        Func<Trace, IReadOnlyList<ChatMessage>>? context
    ) =>
        new(teacher.Tokenizer, teacher.TemplateHash, teacher.Write, source.Dataset)
        {
            IsSentAsText = ScoringWay.IsOfText(capabilities?.PromptScoring),
            LeavesOutFirst = capabilities?.AddsFirstToken ?? false,
            Context = context,
        };

    /// <summary>Tokens of the longest text, for which a model here needs room; a few thousand where none is longer.</summary>
    static async Task<int> LongestAsync(TraceStore<TextPlan> store, TextEncoder encoder, CancellationToken cancellationToken)
    {
        var longest = 2_048;
        await foreach (var text in store.Plan.ReadAsync(store.Inventory.IsWanted, cancellationToken))
        {
            try
            {
                longest = Math.Max(longest, encoder.Encode(text.Trace, topLogprobs: 0).Tokens.Length);
            }
            catch (UnscorableTextException)
            {
                // Counted when its turn comes.
            }
        }

        return longest;
    }

    static async Task<ITextSource> OpenAsync(ScoreOptions options, IVerifier verifier, CancellationToken cancellationToken) =>
        options.Traces is { } traces ? await ShardTexts.OpenAsync(traces, cancellationToken) : new SolutionTexts(options, verifier);

    static void Tell(TraceStore<TextPlan> store, ITextSource source, string directory, IRunObserver observer)
    {
        if (store.Discarded is { } discarded)
        {
            observer.Message($"{directory}: {discarded}; they are discarded");
        }

        if (source is SolutionTexts solutions)
        {
            foreach (var message in solutions.Counts.Describe(solutions.Path))
            {
                observer.Message(message);
            }

            if (solutions.Unsolved > 0)
            {
                observer.Message($"{Counted.Of(solutions.Unsolved, "problem")} without a worked solution: left out");
            }
        }

        var there = store.Plan.Keys.Length - store.Inventory.Wanted;
        if (there > 0 && store.Inventory.Wanted > 0)
        {
            observer.Message($"{there:N0} of {store.Plan.Keys.Length:N0} rows are scored already");
        }
    }

    /// <summary>Finds out with a short text in which way the endpoints score, and that what comes back is what was sent.</summary>
    static async Task<(ITokenScorer Scorer, TeacherCapabilities? Capabilities)> ProbeAsync(
        TeacherPool pool,
        ScoreOptions options,
        ScoringTeacher teacher,
        IRunObserver observer,
        CancellationToken cancellationToken
    )
    {
        var (ids, first) = teacher.Write(ProbeQuestion, ReasoningSplitter.Join("12 + 34 = 46", "46"));
        var request = new ScoringRequest("of the probe", ids, first, options.Alternatives)
        {
            DrawSeed = options.SampledLogprobs is null ? null : options.Seed,
        };
        var capabilities = await pool.ProbeAsync(request, teacher.Tokenizer, cancellationToken);
        observer.Message($"{pool}: {capabilities}");
        if (capabilities.TopLogprobs < options.Alternatives)
        {
            observer.Message($"{pool} returns {capabilities.TopLogprobs} alternatives per token, not {options.Alternatives}");
        }

        return (pool, capabilities);
    }

    static DatasetDescription Describe(
        ScoreOptions options,
        ITextSource source,
        ScoringTeacher teacher,
        TeacherCapabilities? capabilities,
        DatasetDescription? there,
        TeacherCapabilities? before
    )
    {
        var written = source.Dataset;
        var begin = teacher.Tokenizer.Encode("", addSpecialTokens: true);
        var prompt = teacher.Write(ProbeQuestion, "46").Ids;
        var granted = capabilities?.TopLogprobs ?? options.Alternatives;
        return new DatasetDescription
        {
            Teacher = teacher.Model,
            PromptFunction = written?.PromptFunction,
            TokenIdentity = capabilities?.TokenIdentity ?? TokenIdentity.Ids,
            TokenizerHash = teacher.Tokenizer.Hash,
            VocabularySize = teacher.Tokenizer.VocabularySize,
            ChatTemplateHash = teacher.TemplateHash,
            TopK = options.SampledLogprobs is null
                ? GrantedAlternatives.Of(options.TopLogprobs, granted, there, before)
                : Math.Min(options.Alternatives, granted),
            SampledLogprobs = options.SampledLogprobs,
            Logprobs = LogprobKind.Raw,
            Temperature = written?.Temperature ?? 1,
            TopP = written?.TopP ?? 1,
            ExtraBody = written?.ExtraBody,
            Scoring = new ScoringDescription
            {
                Writer = written?.Scoring?.Writer ?? written?.Teacher ?? SolutionTexts.Writer,
                Prompt = options.Prompt,
                BeginOfSequence =
                    begin.Length == 0 || prompt[0] != begin[0] ? BeginOfSequence.None
                    : capabilities is { AddsFirstToken: true } ? BeginOfSequence.AddedByServer
                    : BeginOfSequence.Sent,
            },
        };
    }

    /// <exception cref="InvalidInputException">The budget was spent before.</exception>
    /// <exception cref="ExternalFailureException">The teacher kept failing at rows.</exception>
    static void EnsureWhole(ScoreOptions options, TraceStore<TextPlan> store, CollectionTally tally, CollectionBudget budget)
    {
        var (missing, wanted) = (store.Inventory.Missing, store.Plan.Keys.Length);
        if (missing == 0)
        {
            return;
        }

        var count = FormattableString.Invariant($"{missing:N0} of {wanted:N0} rows {(missing == 1 ? "is" : "are")} not scored");
        if (budget.SpentSetting is { } setting)
        {
            throw new InvalidInputException(
                $"{setting}: is spent ({budget.Describe()}), and {count}; what was scored is kept: raise it and run the same command again"
            );
        }

        throw new ExternalFailureException(
            $"{count}: {tally.DescribeFailures()}; what was scored is kept, and running the same command again asks for the others alone "
                + $"(or keep them without soft targets with allow_missing, now {options.AllowMissing})",
            tally.LastFailure
        );
    }

    static ScoreSummary Summarize(PublishedTraces published, long added, OutputFolder folder)
    {
        var manifest = published.Manifest!;
        return new ScoreSummary(
            manifest.Rows,
            manifest.Rows - (manifest.Unscored?.Count ?? 0),
            manifest.Tokens,
            manifest.Bytes,
            manifest.Dataset.TopK,
            added
        )
        {
            Unscored = manifest.Unscored,
            Usage = UsageLedger.Summarize(folder.UsageFile),
        };
    }
}
