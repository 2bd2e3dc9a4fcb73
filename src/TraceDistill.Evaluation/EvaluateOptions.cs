using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;

namespace TraceDistill.Evaluation;

/// <summary>Options of <c>evaluate</c>. Recipe keys are these names in snake case, command-line options in kebab case.</summary>
/// <remarks>
/// What is measured stands in <see cref="Models"/> or, for a single one, in <see cref="Model"/> and <see cref="Endpoint"/>.
/// </remarks>
public sealed record EvaluateOptions : ProblemReaderOptions, IDeviceOptions, IValidatableObject
{
    [InputPath]
    [Description("Models to evaluate: for each name in the report a model directory, or a map with endpoint and model")]
    public IReadOnlyDictionary<string, ModelSource> Models { get; init; } = new Dictionary<string, ModelSource>();

    [InputPath(Unless = nameof(Endpoint))]
    [Description("Single model to evaluate: its directory, or its name at the endpoint")]
    public string? Model { get; init; }

    [Description("OpenAI-compatible endpoint, such as http://gpu-01:8000/v1")]
    public string? Endpoint { get; init; }

    /// <value>auto.</value>
    [Operational]
    [Description("Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one; used for models in directories")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    DeviceChoice? IDeviceOptions.Device =>
        (Model is not null && Endpoint is null) || Models.Values.Any(source => source.Directory is not null) ? Device : null;

    [Operational]
    [Description("Environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    [Operational]
    [Description("File that holds the endpoint's key and nothing else")]
    public string? ApiKeyFile { get; init; }

    [InputPath]
    [Description("File of problems: JSON Lines, JSON (both also .gz) or Parquet; every model answers the same ones")]
    public required string Problems { get; init; }

    /// <summary>
    /// A model that was trained on traces knows in which words their problems were put; another is asked as those that were.
    /// </summary>
    /// <value>None: each model is asked as it was trained; <c>Reasoning/Solve</c> where nothing is known of that.</value>
    [KnownPrompt]
    [Description("Prompt directory, Plugin/Function or any other path; unless given, the one that each model was trained with")]
    public string? Prompt { get; init; }

    /// <value>None, or as each model was trained.</value>
    [Description("System message that goes before everything; unless given, the one that each model was trained with")]
    public string? System { get; init; }

    /// <value>None, or as each model was trained.</value>
    [InputPath]
    [Description(
        "File of solved problems, of which some are shown as examples before the problem itself; "
            + "problem_field and the other field options apply to it too; unless given, those that each model was trained with"
    )]
    public string? FewShot { get; init; }

    /// <value>4.</value>
    [Range(1, 1000, ErrorMessage = "must be from 1 to 1000")]
    [Description("Number of few_shot examples shown; which ones depends on the problem alone")]
    public int FewShotCount { get; init; } = 4;

    /// <value>None, or as each model was trained.</value>
    [Description(
        "Variables of the chat template, such as { enable_thinking: false }; unless given, those that each model was trained with"
    )]
    public IReadOnlyDictionary<string, JsonElement>? ChatTemplateKwargs { get; init; }

    /// <value>None: all of them.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Use only the first N problems")]
    public int? Limit { get; init; }

    /// <value>0: the greedy answer alone.</value>
    [Range(0, 1000, ErrorMessage = "must be from 0 to 1000")]
    [Description("Samples K for pass@k, maj@k and self-consistency, beside the greedy answer")]
    public int Samples { get; init; }

    /// <value>None: all of them.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Number of problems that samples are drawn for, evenly spaced over the set; all unless given")]
    public int? SampledProblems { get; init; }

    /// <value>1.0.</value>
    [Range(0.0, 100.0, ErrorMessage = "must be from 0 to 100")]
    [Description("Sampling temperature; the greedy answer has none")]
    public double Temperature { get; init; } = 1.0;

    /// <value>1.0, the whole distribution.</value>
    [Range(1e-9, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("Top-p (nucleus) of the sampling")]
    public double TopP { get; init; } = 1.0;

    /// <summary>
    /// Longest answer in tokens. One that is cut there counts as truncated and is judged as it stands; within its reasoning it has no
    /// answer.
    /// </summary>
    /// <value>None: as long as the traces that the model was trained on could be; 512 where nothing is known of that.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Longest answer in tokens; unless given, as long as the traces that the model was trained on could be")]
    public int? MaxTokens { get; init; }

    /// <value>32.</value>
    [Operational]
    [Range(1, 100_000, ErrorMessage = "must be from 1 to 100000")]
    [Description("Maximum requests in flight")]
    public int Concurrency { get; init; } = 32;

    /// <value>0.</value>
    [Description("Seed of the samples and the bootstrap")]
    public long Seed { get; init; }

    /// <summary>On the CPU, of models with attention; how they are compared with traces stays as it is.</summary>
    /// <value>None: every token goes through all layers.</value>
    [Range(0, int.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Layer, from 0, after which tokens of an answer may leave a model directory's model; all go through all unless given")]
    public int? ExitLayer { get; init; }

    /// <value>0.9.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Probability of the likeliest next token from which on a token leaves after exit_layer")]
    public double ExitThreshold { get; init; } = 0.9;

    /// <value>None: neither is measured.</value>
    [InputPath]
    [Description("Folder of trace shards, or one Parquet file, of problems that no model trained on, for KL and token calibration")]
    public string? Traces { get; init; }

    /// <value>None: all of them.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Use only the first N of these traces")]
    public int? TraceLimit { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Models.Count > 0 == (Model ?? Endpoint) is not null)
        {
            yield return new ValidationResult("give either models, or one model or endpoint", [nameof(Models)]);
        }

        if (ExitLayer is null && ExitThreshold != 0.9)
        {
            yield return new ValidationResult("goes with exit_layer", [nameof(ExitThreshold)]);
        }

        foreach (var name in Models.Keys.Where(name => name.Length == 0 || name[0] == '.' || name.AsSpan().ContainsAny("/\\:\0")))
        {
            yield return new ValidationResult($"\"{name}\" cannot name a file; use letters, digits, - and _", [nameof(Models)]);
        }
    }
}
