using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;

namespace TraceDistill.Teachers.Options;

/// <summary>Options of <c>generate</c>. Recipe keys are these names in snake case, command-line options in kebab case.</summary>
public sealed record GenerateOptions : TeacherOptions, IValidatableObject
{
    public GenerateOptions() { }

    /// <summary>Asks the teacher of another verb.</summary>
    /// <param name="teacher">What both verbs know.</param>
    public GenerateOptions(TeacherOptions teacher)
        : base(teacher) { }

    [InputPath]
    [Description("File of problems: JSON Lines, JSON (both also .gz) or Parquet")]
    public required string Problems { get; init; }

    /// <value>None.</value>
    [Description("More fields of each request, such as chat_template_kwargs: { enable_thinking: false }")]
    public IReadOnlyDictionary<string, JsonElement>? ExtraBody { get; init; }

    /// <value>
    /// False: each as a whole, which costs less on both sides. In pieces, what has come of each answer is held until it is complete: some
    /// 170 bytes a token
    /// with 20 alternatives.
    /// </value>
    [Operational]
    [Description("Stream answers while they are generated, for gateways that end connections in which nothing is sent " + "for a while")]
    public bool Stream { get; init; }

    /// <summary>
    /// Known marks such as <c>&lt;think&gt;</c> and <c>[THINK]</c>, and those of <see cref="TeacherOptions.Tokenizer"/>'s chat template,
    /// need not be named.
    /// </summary>
    /// <value>None: found in the chat template or in the answers themselves.</value>
    [Description(
        "Two marks around the teacher's reasoning, such as [\"<think>\", \"</think>\"], or harmony; only where detection is wrong"
    )]
    public IReadOnlyList<string> ReasoningMarkers { get; init; } = [];

    /// <value>True: a run that asks for soft targets stops before its first trace where the endpoint has none to give. False collects text
    /// alone then.</value>
    [Description("Stop at once where the endpoint cannot give the soft targets asked for, instead of collecting text alone")]
    public bool RequireSoftTargets { get; init; } = true;

    /// <value><c>Reasoning/Solve</c>.</value>
    [KnownPrompt]
    [Description("Prompt directory, Plugin/Function or any other path")]
    public string Prompt { get; init; } = "Reasoning/Solve";

    /// <summary>Each sample of each problem takes one of them, by the weights and always the same one.</summary>
    /// <value>None: <see cref="Prompt"/> alone.</value>
    [Description("Several prompt directories with weights, in place of prompt, such as Reasoning/Solve: 2, Reasoning/SolveBoxed: 1")]
    public IReadOnlyDictionary<string, double> Prompts { get; init; } = new Dictionary<string, double>();

    /// <value>None, or the prompt's own.</value>
    [Description("System message that goes before everything, for prompts that have none of their own")]
    public string? System { get; init; }

    /// <summary>Each becomes a turn of the prompt's and an answer: the solution, where there is one, and the boxed final answer.</summary>
    /// <value>None.</value>
    [InputPath]
    [Description(
        "File of solved problems, of which some are shown as examples before the problem itself; "
            + "problem_field and the other field options apply to it too"
    )]
    public string? FewShot { get; init; }

    /// <value>4.</value>
    [Range(1, 1000, ErrorMessage = "must be from 1 to 1000")]
    [Description("Number of few_shot examples shown; which ones depends on the problem alone")]
    public int FewShotCount { get; init; } = 4;

    /// <value>20. With 0, text alone is collected, for the hard loss.</value>
    [Range(0, 1000, ErrorMessage = "must be from 0 to 1000")]
    [Description("Alternatives for each token: the soft targets; 0 asks for text alone")]
    public int TopLogprobs { get; init; } = DefaultTopLogprobs;

    /// <summary>
    /// The mean of soft targets that are drawn is the teacher's whole distribution; that of the likeliest alternatives is not (RS-KD).
    /// Stored as log(count / N); known by <c>tracedistill serve</c>, and so with <see cref="TeacherOptions.Serve"/>.
    /// </summary>
    /// <value>None: the likeliest alternatives.</value>
    [Range(1, 256, ErrorMessage = "must be from 1 to 256")]
    [Description("Soft targets drawn at random from the teacher's whole distribution for each token, in place of top_logprobs")]
    public int? SampledLogprobs { get; init; }

    /// <value>1.</value>
    [Range(1, 100_000, ErrorMessage = "must be from 1 to 100000")]
    [Description("Traces for each problem")]
    public int SamplesPerProblem { get; init; } = 1;

    /// <value>1.0, the teacher's own distribution.</value>
    [Range(0.0, 100.0, ErrorMessage = "must be from 0 to 100")]
    [Description("Sampling temperature; 0 is greedy")]
    public double Temperature { get; init; } = 1.0;

    /// <value>1.0, the whole distribution.</value>
    [Range(1e-9, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("Top-p (nucleus) of the sampling")]
    public double TopP { get; init; } = 1.0;

    /// <value>512.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Longest trace in tokens")]
    public int MaxTokens { get; init; } = 512;

    /// <value>0.</value>
    [Description("Base seed; per-trace seeds are derived from it, the problem and the sample's index")]
    public long Seed { get; init; }

    /// <value>None: all problems.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Use only the first N problems")]
    public int? Limit { get; init; }

    /// <summary>
    /// The partitions may go into one folder or each into its own; in one folder, whoever finds the last of them complete makes one data
    /// set of all.
    /// </summary>
    /// <value>
    /// None: the partition that a Slurm array (<c>SLURM_ARRAY_TASK_ID</c>) or a Kubernetes Indexed Job (<c>JOB_COMPLETION_INDEX</c>)
    /// gives this process, else the whole.
    /// </value>
    [Description(
        "Partition i of N of the problems, as i/N with i from 0 to N-1, so that N machines need no coordination; "
            + "array jobs of Slurm and Kubernetes are detected"
    )]
    public string? Partition { get; init; }

    /// <value>None: what Slurm says, or JOB_COMPLETIONS.</value>
    [Range(1, ShardName.MostShards, ErrorMessage = "must be from 1 to 99999")]
    [Description("Number of partitions where the environment gives only the index of this one, as in a Kubernetes Indexed Job")]
    public int? Partitions { get; init; }

    /// <summary>
    /// The new answer takes the old one's place under the same id, whatever it is; each run that finds such a trace asks once more, with a
    /// fresh seed.
    /// </summary>
    /// <value>None: they are kept as they are and counted.</value>
    [Description("Kinds of traces to collect again: length (cut off), refusal, empty (no answer), unfinished (ended for any other reason)")]
    public IReadOnlyList<TraceFlaw> Reask { get; init; } = [];

    /// <value>As many as make half a gigabyte if all are as long as max_tokens, and at most 65,536.</value>
    [Operational]
    [Range(1, 10_000_000, ErrorMessage = "must be from 1 to 10000000")]
    [Description("Traces in a shard; a shard is written as soon as all of them are there")]
    public int? ShardRows { get; init; }

    /// <summary>
    /// All traces are kept, with their journal, in the folder <c>collected</c> of the output folder, so that none is asked for again; the
    /// shards beside it hold
    /// the correct ones.
    /// </summary>
    /// <value>False: all traces are published.</value>
    [Description(
        "Publish only traces with a correct answer; the others are kept in the folder collected of the output folder "
            + "and counted in the manifest"
    )]
    public bool OnlyCorrect { get; init; }

    /// <summary>
    /// For problems whose answer nobody knows: of those on whose answer enough samples agree, the traces that give it
    /// (self-consistency, arXiv 2203.11171). The known answers of others are not looked at, unless <see cref="OnlyCorrect"/> says so too:
    /// then a trace is published where it is correct, or, where no answer is known, where it agrees.
    /// </summary>
    /// <value>None: all traces are published.</value>
    [Range(0.01, 1.0, ErrorMessage = "must be from 0.01 to 1")]
    [Description(
        "Publish only traces whose answer at least this fraction of the problem's samples give, such as 0.75, for problems without "
            + "a known answer; with only_correct, only those go by it; the others are kept in the folder collected"
    )]
    public double? MinAgreement { get; init; }

    /// <summary>Returns whether only some of the traces are published.</summary>
    public bool Selects() => OnlyCorrect || MinAgreement is not null;

    /// <value>None.</value>
    [Operational]
    [Description(
        "Write the requests of missing traces to this file, for OpenAI's batch API or vllm run-batch, and stop; "
            + "the endpoint is not called"
    )]
    public string? BatchOut { get; init; }

    /// <value>None.</value>
    [InputPath]
    [Description("Import the results of batches (output and error files) instead of calling the endpoint")]
    public IReadOnlyList<string> BatchIn { get; init; } = [];

    /// <summary>Of <see cref="TopLogprobs"/>: 20.</summary>
    public const int DefaultTopLogprobs = 20;

    /// <summary>What is wrong where both kinds of alternatives are asked for.</summary>
    public const string EitherAlternatives = "the likeliest alternatives or drawn ones (sampled_logprobs), not both; leave one of them out";

    /// <summary>Alternatives for each token, drawn or the likeliest.</summary>
    internal int Alternatives => SampledLogprobs ?? TopLogprobs;

    bool IsBatch => BatchOut is not null || BatchIn.Count > 0;

    /// <summary>The prompt directories in use, by name or path.</summary>
    public IEnumerable<string> PromptNames() => Prompts.Count > 0 ? Prompts.Keys : [Prompt];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (IsBatch && (Serve is not null || Endpoints.Count > 0))
        {
            yield return new ValidationResult(
                "a batch calls no teacher; name the model alone, and the endpoint or dialect it is for",
                [BatchOut is null ? nameof(BatchIn) : nameof(BatchOut)]
            );
        }
        else if (!IsBatch && (Endpoint is null ? 0 : 1) + (Serve is null ? 0 : 1) + (Endpoints.Count == 0 ? 0 : 1) != 1)
        {
            yield return new ValidationResult(
                "give either an endpoint, or several as endpoints, or a model directory to serve",
                [nameof(Endpoint)]
            );
        }

        foreach (var problem in ValidateTeacher())
        {
            yield return problem;
        }

        if (SampledLogprobs is not null && TopLogprobs != DefaultTopLogprobs)
        {
            yield return new ValidationResult(EitherAlternatives, [nameof(TopLogprobs)]);
        }

        if (IsBatch && SampledLogprobs is not null)
        {
            yield return new ValidationResult(
                "no batch service draws soft targets; take serve, or an endpoint of tracedistill serve",
                [nameof(SampledLogprobs)]
            );
        }

        if (BatchOut is not null && BatchIn.Count > 0)
        {
            yield return new ValidationResult("import the results first, then write what is missing", [nameof(BatchOut)]);
        }

        if ((Endpoint is not null || Endpoints.Count > 0 || IsBatch) && string.IsNullOrWhiteSpace(Model))
        {
            yield return new ValidationResult("name the model as the endpoint knows it", [nameof(Model)]);
        }

        foreach (var (name, weight) in Prompts)
        {
            if (!(weight > 0) || !double.IsFinite(weight))
            {
                yield return new ValidationResult($"the weight of {name} is {weight}; give it one above 0", [nameof(Prompts)]);
            }
            else if (new KnownPromptAttribute().GetValidationResult(name, validationContext) is { } unknown)
            {
                yield return new ValidationResult(unknown.ErrorMessage, [nameof(Prompts)]);
            }
        }

        if (Partition is not null && Partitions is not null)
        {
            yield return new ValidationResult("partition says the number of them already; leave one of the two out", [nameof(Partitions)]);
        }

        if (!Text.Chat.ReasoningMarkers.TryName(ReasoningMarkers, out _))
        {
            yield return new ValidationResult(Text.Chat.ReasoningMarkers.NamesWanted, [nameof(ReasoningMarkers)]);
        }

        foreach (var refusal in Dialects.ExtraBody.Validate(ExtraBody, nameof(ExtraBody)))
        {
            yield return refusal;
        }

        if (MinAgreement is not null && SamplesPerProblem < 2)
        {
            yield return new ValidationResult(
                "one sample of a problem always agrees with itself; raise samples_per_problem, to 4 or more",
                [nameof(MinAgreement)]
            );
        }

        if (Temperature == 0 && SamplesPerProblem > 1)
        {
            yield return new ValidationResult(
                "several greedy traces of a problem are all the same; raise temperature",
                [nameof(SamplesPerProblem)]
            );
        }
    }
}
