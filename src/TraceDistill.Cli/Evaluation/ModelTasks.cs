using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Prompts;
using TraceDistill.Evaluation;
using TraceDistill.Models.Configuration;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Prompts;

namespace TraceDistill.Cli.Evaluation;

/// <summary>
/// Tasks of the models of an evaluation: each is asked as it was trained, unless the options say otherwise. What was not trained on traces
/// is asked
/// as the others are.
/// </summary>
sealed class ModelTasks
{
    /// <summary>Prompt for a model of which nothing is known.</summary>
    public const string DefaultPrompt = "Reasoning/Solve";

    /// <summary>Longest answer of a model of whose traces nothing is known.</summary>
    public const int DefaultMaxTokens = 512;

    readonly EvaluateOptions _options;
    readonly TaskDescription _shared;
    readonly bool _isAmbiguous;
    readonly IRunObserver _observer;

    /// <param name="options">Of the evaluation.</param>
    /// <param name="sources">All models.</param>
    /// <param name="ofTraces">The task of the traces that distributions are compared on; null where there are none, or it is not
    /// known.</param>
    /// <param name="observer">Takes messages about differences.</param>
    public ModelTasks(EvaluateOptions options, IEnumerable<ModelSource> sources, TaskDescription? ofTraces, IRunObserver observer)
    {
        var trained = sources.Select(TaskOf).OfType<TaskDescription>().ToList();
        (_options, _observer) = (options, observer);
        _shared = trained.FirstOrDefault() ?? ofTraces ?? new TaskDescription { Prompts = [TaskPrompt.Load(DefaultPrompt)] };
        _isAmbiguous = trained.Any(task => !task.IsPutAs(_shared));
    }

    /// <summary>Finds the prompt of a model, and reports where it differs from the one that the model was trained on.</summary>
    public async Task<AskedAs> ForAsync(string name, ModelSource source, CancellationToken cancellationToken)
    {
        var own = TaskOf(source);
        var task = await ApplyOptionsAsync(own ?? _shared, cancellationToken);
        var prompts = await PromptSet.CreateAsync(task, source.Directory ?? "", _options.Seed, cancellationToken);
        var maxTokens = _options.MaxTokens ?? task.MaxTokens ?? DefaultMaxTokens;
        var trainedOn =
            own is null || own.IsPutAs(task) ? null
            : own.Describe() == task.Describe() ? $"{own.Describe()} in other words"
            : own.Describe();
        if (trainedOn is not null)
        {
            _observer.Message($"{name}: trained on prompt {trainedOn}, evaluated with {task.Describe()}");
        }
        else if (own is null && _isAmbiguous && _options.Prompt is null)
        {
            _observer.Message($"{name}: the other models were trained on several prompts; it is asked with {task.Describe()}");
        }

        if (own?.MaxTokens > maxTokens)
        {
            _observer.Message(
                $"{name}: its answers may have {maxTokens:N0} tokens here (max_tokens), and the traces that it was trained on "
                    + $"{own.MaxTokens:N0}"
            );
        }

        var byPicture = LooksAtPictures(source.Directory);
        return new AskedAs(
            task.Describe(),
            (problem, sample) => prompts.For(byPicture ? problem.ByPicture() : problem).Messages(sample),
            maxTokens
        )
        {
            ByPicture = byPicture,
            // A model behind an endpoint is asked for the traces' sake in every respect; in this process only the template has settings.
            ExtraBody = source.Directory is null ? task.ExtraBody : task.ChatTemplateSettings(),
            TrainedOn = trainedOn,
        };
    }

    /// <summary>A folder that is no model is reported by who loads it.</summary>
    static bool LooksAtPictures(string? directory) =>
        directory is not null
        && File.Exists(Path.Combine(directory, ModelConfiguration.FileName))
        && ModelConfiguration.Load(directory).Pictures is not null;

    async Task<TaskDescription> ApplyOptionsAsync(TaskDescription task, CancellationToken cancellationToken)
    {
        if (_options.Prompt is { } name && TaskPrompt.Load(name) is var prompt && !task.IsOf(prompt))
        {
            // Another prompt is another conversation: the system message and the examples went with the old one.
            task = task with { Prompts = [prompt], System = null, FewShot = null };
        }

        if (_options.System is { } system)
        {
            task = task with { System = system };
        }

        if (_options.FewShot is { } file)
        {
            task = task with { FewShot = await PromptSet.ExamplesAsync(file, _options.FewShotCount, _options, cancellationToken) };
        }

        if (_options.ChatTemplateKwargs is not { } variables)
        {
            return task;
        }

        var field = KeyValuePair.Create(TaskDescription.ChatTemplateField, JsonSerializer.SerializeToElement(variables));
        return task with { ExtraBody = variables.Count == 0 ? null : ExtraBody.Canonical([field]) };
    }

    static TaskDescription? TaskOf(ModelSource source) => source.Directory is { } directory ? TaskDescription.Load(directory) : null;
}
