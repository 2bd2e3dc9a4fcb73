using System.Runtime.CompilerServices;
using TraceDistill.Cli.Evaluation;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Inference;
using TraceDistill.Models.Configuration;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Training;

namespace TraceDistill.Cli.Commands;

/// <summary>Measures how well models solve problems, and how near their distributions come to the teacher's.</summary>
sealed class EvaluateVerb : Verb<EvaluateOptions>
{
    const int PrintedComparisons = 10;

    public override string Name => "evaluate";

    public override string Description => "Measure models or an endpoint on a problem set: pass@k, maj@k, calibration, KL to the teacher";

    public override VerbOutput Output => VerbOutput.Optional;

    public override bool IsResumable => true;

    public override bool SendsKeys => true;

    public override bool RunsBesideOthers(EvaluateOptions options) =>
        EvaluatedModels.Sources(options).All(source => source.Value.Directory is not null);

    /// <summary>
    /// One model at a time: as it generates, with keys and values of all answers, and again as it is compared with traces.
    /// </summary>
    public override long EstimateMemory(EvaluateOptions options)
    {
        var weights = EvaluatedModels
            .Sources(options)
            .Select(source => source.Value.Directory)
            .OfType<string>()
            .Select(directory => Directory.GetFiles(directory, "*.safetensors").Sum(FileBytes))
            .DefaultIfEmpty(0)
            .Max();
        var copies = options.Traces is null ? 2 : 3;
        return ProcessMemory + EngineOptions.DefaultCacheBytes + FileBytes(options.Problems) + (copies * weights);
    }

    public override IEnumerable<KeyUse> KeyUses(EvaluateOptions options) =>
        [
            .. KeyUse.Of(options.Endpoint, options.ApiKeyEnv, options.ApiKeyFile),
            .. options.Models.Values.SelectMany(model => KeyUse.Of(model.Endpoint, model.ApiKeyEnv, model.ApiKeyFile)),
        ];

    public override IEnumerable<string> ImplicitInputs(EvaluateOptions options) =>
        [PromptLibrary.Default.Load(options.Prompt ?? ModelTasks.DefaultPrompt).Folder];

    public override async IAsyncEnumerable<Foreseen> ForeseeAsync(
        EvaluateOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        const string Names = "{models}";
        var found = new List<(string Model, Foreseen Told)>();
        foreach (var (name, source) in EvaluatedModels.Sources(options).Where(pair => pair.Value.Directory is not null))
        {
            found.AddRange(
                await ForeseeAsync(source.Directory!, Names, options, ahead, cancellationToken)
                    .Select(told => (name, told))
                    .ToListAsync(cancellationToken)
            );
        }

        // What is true of many models, such as copies of a matrix, is reported once with their names.
        foreach (var same in found.GroupBy(one => one.Told, one => one.Model))
        {
            yield return same.Key with
            {
                Text = same.Key.Text.Replace(Names, ShortList.Of(same), StringComparison.Ordinal),
            };
        }
    }

    static async IAsyncEnumerable<Foreseen> ForeseeAsync(
        string directory,
        string names,
        EvaluateOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        if (ModelAhead.WhyNone(options.Models.Count > 0 ? $"models: {names}" : "model", directory, ahead) is { } missing)
        {
            yield return new Foreseen(IsCertain: true, missing);
            yield break;
        }

        if (ExitProblem(directory, options, ahead) is { } exit)
        {
            yield return new Foreseen(IsCertain: true, $"exit_layer: {names}: {exit}");
        }

        var model = await StudentAhead.FindAsync(directory, ahead, cancellationToken);
        if (options.Prompt is { } prompt && model.Task is { } task && !task.IsOf(TaskPrompt.Load(prompt)))
        {
            yield return new Foreseen(
                IsCertain: false,
                $"trained on prompt {task.Describe()}, and to be evaluated with {prompt}: "
                    + $"{names}; leave prompt out to ask each model as it was trained"
            );
        }

        if (options.MaxTokens < model.Task?.MaxTokens)
        {
            yield return new Foreseen(
                IsCertain: false,
                $"answers end at max_tokens {options.MaxTokens:N0}, and the traces trained on "
                    + $"may be {model.Task.MaxTokens:N0} tokens long: {names}; leave max_tokens out"
            );
        }

        if (options.MaxTokens >= model.Positions)
        {
            yield return new Foreseen(
                IsCertain: false,
                $"answers end at the {model.Positions:N0} positions of the model, "
                    + $"before max_tokens {options.MaxTokens:N0}: {names}; give more (max_position_embeddings)"
            );
        }

        if (
            model is not { Tokenizer: { } tokenizer }
            || !ahead.IsThere(options.Problems)
            || !ahead.IsThere(tokenizer)
            || await FactsAsync(options, names, model.Task, tokenizer, cancellationToken) is not { } facts
        )
        {
            yield break;
        }

        if (facts.SpecialTokens is { } specials)
        {
            yield return new Foreseen(IsCertain: false, specials);
        }

        if (model.Positions is { } positions && facts.TooLongFor(positions) is > 0 and var tooLong)
        {
            var advised = facts.Longest[0] + (options.MaxTokens ?? model.Task?.MaxTokens ?? ModelTasks.DefaultMaxTokens);
            yield return new Foreseen(
                IsCertain: true,
                $"{facts.CountOf(tooLong)} do not fit the {positions:N0} positions of {names} (the longest "
                    + $"has {facts.Longest[0]:N0} tokens): max_position_embeddings: {advised}, or shorter problems"
            );
        }
    }

    /// <summary>Says why a model that is there, or that a stage is going to train, cannot be left at exit_layer.</summary>
    static string? ExitProblem(string directory, EvaluateOptions options, Foresight ahead)
    {
        if (options.ExitLayer is not { } layer)
        {
            return null;
        }

        var exit = new EarlyExit(layer, options.ExitThreshold);
        return ahead.IsThere(directory) ? exit.Refuses(ModelConfiguration.Load(directory))
            : ahead.MakerOf(directory)?.Options is TrainOptions training ? exit.Untaught(training.EarlyExits?.Layers ?? [])
            : null;
    }

    static async Task<PromptFacts?> FactsAsync(
        EvaluateOptions options,
        string model,
        TaskDescription? task,
        string tokenizer,
        CancellationToken cancellationToken
    )
    {
        var asked =
            options.Prompt is null && task is not null
                ? task
                : new TaskDescription { Prompts = [TaskPrompt.Load(options.Prompt ?? ModelTasks.DefaultPrompt)] };
        var prompts = await PromptSet.CreateAsync(asked, tokenizer, options.Seed, cancellationToken);
        return await PromptFacts.FindAsync(options.Problems, options, options.Limit, prompts, tokenizer, model, cancellationToken);
    }

    public override async Task<object> RunAsync(EvaluateOptions options, StageContext context, CancellationToken cancellationToken)
    {
        using var scratch = context.Output is null ? new ScratchFolder() : null;
        var folder = Directory.CreateDirectory(context.Output ?? scratch!.Path).FullName;
        var problems = await EvaluatedProblems.ReadAsync(options.Problems, options, options.Limit, context.Observer, cancellationToken);
        var traces = options.Traces is { } path ? await ShardReader.OpenAsync(path, cancellationToken: cancellationToken) : null;
        if (traces is { Dataset.TopK: 0 })
        {
            context.Observer.Message(
                $"traces: {traces.Path} holds no soft targets, so no distributions are compared; top_logprobs: 20 collects some"
            );
        }
        else if (traces is { Dataset.SampledLogprobs: { } draws })
        {
            context.Observer.Message(
                $"traces: {traces.Path} holds {draws} draws of each token, KL to which is larger than to the teacher's distributions, so "
                    + "none are compared; score the traces, or collect some, with top_logprobs: 20"
            );
        }

        var comparable = traces is { Dataset: { TopK: > 0, SampledLogprobs: null } } ? traces : null;
        var models = new EvaluatedModels(options, problems, traces?.Dataset, context);
        var evaluator = new Evaluator(options, MathVerifier.Instance, folder, context.Observer, context.TimeProvider);
        var compared = comparable?.ReadAsync(cancellationToken).ToBlockingEnumerable(cancellationToken);
        var result = await evaluator.EvaluateAsync(models.LoadAsync(cancellationToken), problems, compared, cancellationToken);
        Print(result, context.Observer);
        return result;
    }

    static void Print(EvaluationResult result, IRunObserver observer)
    {
        foreach (var (name, scores) in result.Models)
        {
            var kl = scores.Distribution is { } distribution ? $", KL to the teacher {distribution.Kl:0.000}" : "";
            var unverified = scores.Unverified > 0 ? $", {scores.Unverified} unverified" : "";
            observer.Message(
                $"{name}: {Show.Percent(scores.Accuracy)} of {scores.N} problems (95% interval "
                    + $"{Show.Percent(scores.AccuracyCi)}){unverified}, {scores.MeanTokens:0} tokens an answer{kl}"
            );
        }

        // An ablation compares hundreds of pairs: its report has them all.
        foreach (var pair in result.Comparisons.Count <= PrintedComparisons ? result.Comparisons : [])
        {
            observer.Message(
                $"{pair.First} − {pair.Second}: {Show.Points(pair.Difference)} points "
                    + $"({Show.Points(pair.DifferenceCi)}), {Show.PEquals(pair.PValue)} for these weights"
            );
        }
    }

    /// <summary>An empty folder for work whose files nobody asked for.</summary>
    sealed class ScratchFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("tracedistill-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
