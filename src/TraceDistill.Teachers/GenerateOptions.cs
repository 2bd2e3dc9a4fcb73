using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Core.Options;
using TraceDistill.Core.Prompts;

namespace TraceDistill.Teachers;

/// <summary>What <c>generate</c> collects and how. Recipe keys are these names in snake case, command-line options in kebab case.</summary>
public sealed record GenerateOptions : IValidatableObject
{
    [InputPath]
    [Description("file of problems, JSONL or Parquet")]
    public required string Problems { get; init; }

    [Description("an OpenAI-compatible endpoint, such as http://gpu-01:8000/v1")]
    public string? Endpoint { get; init; }

    [InputPath]
    [Description("a model directory to serve on this machine instead of naming an endpoint")]
    public string? Serve { get; init; }

    [Description("the model's name as the endpoint knows it; not needed with serve")]
    public string? Model { get; init; }

    [Operational]
    [Description("environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    /// <value><c>Reasoning/Solve</c>.</value>
    [KnownPrompt]
    [Description("prompt directory, Plugin/Function")]
    public string Prompt { get; init; } = "Reasoning/Solve";

    /// <value>20. With 0, text alone is collected, for the hard loss.</value>
    [Range(0, 1000, ErrorMessage = "must be from 0 to 1000")]
    [Description("alternatives kept for each token: the soft targets; 0 collects text alone")]
    public int TopLogprobs { get; init; } = 20;

    /// <value>1.</value>
    [Range(1, 100_000, ErrorMessage = "must be from 1 to 100000")]
    [Description("traces of each problem")]
    public int SamplesPerProblem { get; init; } = 1;

    /// <value>1.0, the teacher's own distribution.</value>
    [Range(0.0, 100.0, ErrorMessage = "must be from 0 to 100")]
    [Description("sampling temperature; 0 is greedy")]
    public double Temperature { get; init; } = 1.0;

    /// <value>1.0, the whole distribution.</value>
    [Range(1e-9, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("nucleus that is sampled from")]
    public double TopP { get; init; } = 1.0;

    /// <value>512.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("longest trace in tokens")]
    public int MaxTokens { get; init; } = 512;

    /// <value>0.</value>
    [Description("from it, the problem and the sample's index comes the seed of each trace")]
    public long Seed { get; init; }

    /// <value>32.</value>
    [Operational]
    [Range(1, 100_000, ErrorMessage = "must be from 1 to 100000")]
    [Description("requests in flight at a time")]
    public int Concurrency { get; init; } = 32;

    /// <value>None: all problems.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("only the first so many problems")]
    public int? Limit { get; init; }

    /// <value>None: the whole. Each share wants an output folder of its own.</value>
    [Description("i/N collects share i, from 0 to N-1, of the problems, so that N machines need no coordination")]
    public string? Partition { get; init; }

    /// <summary>
    /// Its hash and its chat template's go into the manifest, so that a trainer can refuse a mismatch. Where the endpoint names tokens by their
    /// bytes alone, their ids are found in it.
    /// </summary>
    /// <value>None; with <see cref="Serve"/>, the model served.</value>
    [InputPath]
    [Description("folder with the teacher's tokenizer.json")]
    public string? Tokenizer { get; init; }

    /// <value>None: a minute, and a fifth of a second for each token that may be generated.</value>
    [Operational]
    [Range(1.0, 1e6, ErrorMessage = "must be from 1 to 1000000")]
    [Description("seconds that one attempt at a trace may take")]
    public double? AttemptTimeout { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Endpoint is null == Serve is null)
        {
            yield return new ValidationResult("give either an endpoint, or a model directory to serve", [nameof(Endpoint)]);
        }

        if (Endpoint is not null && string.IsNullOrWhiteSpace(Model))
        {
            yield return new ValidationResult("name the model as the endpoint knows it", [nameof(Model)]);
        }

        if (Temperature == 0 && SamplesPerProblem > 1)
        {
            yield return new ValidationResult("several greedy traces of a problem are all the same; raise temperature", [nameof(SamplesPerProblem)]);
        }
    }
}
