using System.Runtime.CompilerServices;
using TraceDistill.Cli.Evaluation;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Cli.Telemetry;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Batch;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Commands;

/// <summary>Problems → teacher → shards; with <c>serve</c>, the teacher is a model directory that this process serves meanwhile.</summary>
sealed class GenerateVerb : Verb<GenerateOptions>
{
    const string ProblemsKey = "problems";

    public override string Name => "generate";

    public override string Description => "Collect reasoning traces with logprobs from a teacher into shards";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool LocksOutput => true;

    public override bool IsResumable => true;

    public override bool KeepsEarlierWork => true;

    public override bool SendsKeys => true;

    public override IReadOnlyCollection<string> CommandLineOnly => ["batch_out", "batch_in"];

    public override IEnumerable<string> ImplicitInputs(GenerateOptions options) =>
        options.PromptNames().Select(name => PromptLibrary.Default.Load(name).Folder);

    public override async IAsyncEnumerable<Foreseen> ForeseeAsync(
        GenerateOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        if (ModelAhead.WhyNone("serve", options.Serve, ahead) is { } missing)
        {
            yield return new Foreseen(IsCertain: true, missing);
            yield break;
        }

        if (
            ahead.IsThere(options.Serve)
            && ahead.IsThere(options.Tokenizer)
            && ServedTeacher.TokenizerProblem(options.Serve, options.Tokenizer) is { } other
        )
        {
            yield return new Foreseen(IsCertain: true, other);
            yield break;
        }

        if (
            (options.Serve ?? options.Tokenizer) is not { } teacher
            || !ahead.IsThere(teacher)
            || !ahead.IsThere(options.Problems)
            || (options.FewShot is { } examples && !ahead.IsThere(examples))
        )
        {
            yield break;
        }

        var prompts = await PromptSet.CreateAsync(options, cancellationToken);
        var facts = await PromptFacts.FindAsync(
            options.Problems,
            options,
            options.Limit,
            prompts,
            teacher,
            "the teacher",
            cancellationToken
        );
        if (facts is not { Problems: > 0 })
        {
            yield break;
        }

        if (facts.SpecialTokens is { } specials)
        {
            yield return new Foreseen(IsCertain: false, specials);
        }

        // A tokenizer's folder is often the whole teacher's, and tells its context.
        if (!File.Exists(Path.Combine(teacher, ModelConfiguration.FileName)))
        {
            yield break;
        }

        var context = ModelConfiguration.Load(teacher).MaxPositionEmbeddings;

        if (facts.TooLongFor(context) is > 0 and var tooLong)
        {
            yield return new Foreseen(
                IsCertain: tooLong == facts.Problems,
                $"{facts.CountOf(tooLong)} do not fit the teacher's context of {context:N0} tokens (the longest has {facts.Longest[0]:N0}) "
                    + "and will have no trace: shorten them, or take a teacher with a longer context"
            );
        }
        else if (facts.Longest[0] + (long)options.MaxTokens > context)
        {
            yield return new Foreseen(
                IsCertain: false,
                $"the longest prompt has {facts.Longest[0]:N0} tokens, which leaves {context - facts.Longest[0]:N0} of max_tokens "
                    + $"{options.MaxTokens:N0} in the teacher's context of {context:N0}: max_tokens: {context - facts.Longest[0]}"
            );
        }
    }

    public override IEnumerable<KeyUse> KeyUses(GenerateOptions options) => ServedTeacher.KeyUses(options);

    public override async Task<object> RunAsync(GenerateOptions options, StageContext context, CancellationToken cancellationToken)
    {
        if (context.RunDirectory is not null && options.Partition is null)
        {
            // A run is one process and its other stages want all traces, also where it is one of an array of jobs.
            options = options with { Partition = "0/1" };
        }

        options = options with { Discard = options.Discard || context.IsDiscarded };
        ServedTeacher.EnsureTokenizer(options.Serve, options.Tokenizer);
        using var telemetry = new TelemetryExport(options.PrometheusPort, Environment.GetEnvironmentVariable);
        await using var server = await ServedTeacher.StartAsync(options, options.TopLogprobs, context, cancellationToken);
        var endpoint = server is null
            ? options
            : options with
            {
                Endpoint = new Uri(server.Endpoint, "v1").ToString(),
                Model = options.Model ?? server.ModelName,
            };
        var folder = SelectedTraces.CollectionFolder(options, context.Output!);
        await TakeOverAsync(endpoint, folder, context, cancellationToken);
        if (options.BatchOut is not null)
        {
            return await BatchStage.WriteAsync(options, folder, context.Observer, cancellationToken);
        }

        var task = await PromptSet.TaskOfAsync(options, cancellationToken);
        var summary =
            options.BatchIn.Count > 0
                ? await BatchStage.ImportAsync(
                    options,
                    folder,
                    MathVerifier.Instance,
                    context.Observer,
                    context.TimeProvider,
                    Publishing,
                    cancellationToken
                )
                : await CollectStage.RunAsync(
                    endpoint,
                    folder,
                    MathVerifier.Instance,
                    context.Observer,
                    context.TimeProvider,
                    Publishing,
                    among: null,
                    cancellationToken
                );
        if (options.Selects())
        {
            summary = await SelectedTraces.PublishAsync(
                options,
                context.Output!,
                summary,
                MathVerifier.Instance,
                context.Observer,
                cancellationToken
            );
        }

        context.Observer.Message($"{summary}");
        return summary;

        // A student from scratch takes its vocabulary from beside the traces, and whoever evaluates it asks it what it was taught.
        void Publishing()
        {
            if ((options.Tokenizer ?? options.Serve) is { } tokenizer)
            {
                ModelDirectory.CopyTokenizer(tokenizer, Path.Combine(context.Output!, TrainStage.StoredTokenizer));
            }

            task.Save(context.Output!, $".{Environment.MachineName}-{Environment.ProcessId}");
        }
    }

    public override async Task<string?> PreviewAsync(
        GenerateOptions options,
        string folder,
        bool isDiscarded,
        CancellationToken cancellationToken
    )
    {
        folder = SelectedTraces.CollectionFolderIn(folder);

        // What an earlier stage is to make may not be there yet.
        string?[] read = [options.Problems, options.Serve, options.Tokenizer, options.FewShot];
        if (!read.OfType<string>().All(Path.Exists) || !CollectStage.HasBegunIn(folder))
        {
            return null;
        }

        var named = options with { Model = options.Model ?? ServedTeacher.NameOf(options.Serve!) };
        return (await CollectStage.PreviewAsync(named, folder, cancellationToken)).Describe(isDiscarded || options.Discard);
    }

    /// <summary>A stage keeps the traces that it has: none is asked for twice, and none is given up unless the user says so.</summary>
    /// <exception cref="InvalidInputException">Some are not asked for any more.</exception>
    static async Task TakeOverAsync(GenerateOptions options, string folder, StageContext context, CancellationToken cancellationToken)
    {
        if (
            context.Earlier is not { } earlier
            || CollectStage.HasBegunIn(folder)
            || SelectedTraces.CollectionFolderIn(earlier.Folder) is not { } collected
            || ShardManifest.Load(collected) is not { } manifest
        )
        {
            return;
        }

        var preview = await CollectStage.PreviewAsync(options, collected, cancellationToken);
        if (CollectStage.OptionsFileIn(collected) is null && earlier.ChangedInputs.Except([ProblemsKey]).ToList() is { Count: > 0 } changed)
        {
            var files = string.Join(", ", changed.Select(key => key.Length == 0 ? "prompt" : key));
            preview = preview with { Difference = $"holds {manifest.Rows:N0} traces of other files ({files})", IsOfAll = true };
        }

        if (preview.Difference is not null && !options.Discard)
        {
            throw preview.Refusal(context.NameOf(context.Output!));
        }

        EarlierTraces.CopyUsage(collected, folder);
        if (preview is { Difference: { } difference, IsOfAll: true })
        {
            context.Observer.Message($"{context.NameOf(context.Output!)}: {difference}; they are discarded");
            return;
        }

        EarlierTraces.Copy(collected, manifest, folder, cancellationToken);
        context.Observer.Message($"keeps {preview.Present:N0} traces that were collected before");
    }
}
