using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Options;

/// <summary>Options of <c>generate</c>. Recipe keys are these names in snake case, command-line options in kebab case.</summary>
public sealed record GenerateOptions : ProblemReaderOptions, IDeviceOptions, IValidatableObject
{
    [InputPath]
    [Description("File of problems: JSON Lines, JSON (both also .gz) or Parquet")]
    public required string Problems { get; init; }

    [Description("OpenAI-compatible endpoint, such as http://gpu-01:8000/v1")]
    public string? Endpoint { get; init; }

    /// <summary>
    /// They serve one model under one name or several, and are found to tell the same about tokens before anything is collected.
    /// </summary>
    /// <value>None: the one endpoint.</value>
    [Operational]
    [Description(
        "Several endpoints in place of one, each an address or " + "{ endpoint, model, weight, api_key_env, concurrency, rpm, tpm, price }"
    )]
    public IReadOnlyList<EndpointOptions> Endpoints { get; init; } = [];

    [InputPath]
    [Description("Model directory to serve on this machine, in place of an endpoint")]
    public string? Serve { get; init; }

    /// <value>auto.</value>
    [Operational]
    [Description("Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one; used with serve only")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    DeviceChoice? IDeviceOptions.Device => Serve is null ? null : Device;

    [Description("Name of the model at the endpoint; not needed with serve")]
    public string? Model { get; init; }

    [Operational]
    [Description("Environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    [Operational]
    [Description("File that holds the endpoint's key and nothing else")]
    public string? ApiKeyFile { get; init; }

    /// <value><c>auto</c>: found out from the address, the endpoint's list of models and the like.</value>
    [KnownDialect]
    [Description(KnownDialects.Help)]
    public string Dialect { get; init; } = KnownDialects.Auto;

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
    /// Known marks such as <c>&lt;think&gt;</c> and <c>[THINK]</c>, and those of <see cref="Tokenizer"/>'s chat template, need not be
    /// named.
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
    public int TopLogprobs { get; init; } = 20;

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

    /// <value>32.</value>
    [Operational]
    [Range(1, 100_000, ErrorMessage = "must be from 1 to 100000")]
    [Description("Maximum requests in flight at each endpoint; an overloaded endpoint is given fewer")]
    public int Concurrency { get; init; } = 32;

    /// <value>None: as many as it takes.</value>
    [Operational]
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Maximum requests per minute at each endpoint")]
    public int? Rpm { get; init; }

    /// <value>None: as many as it takes.</value>
    [Operational]
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Maximum tokens per minute at each endpoint, prompts and answers")]
    public int? Tpm { get; init; }

    /// <value>None: never. The second copy's tokens are paid for, too.</value>
    [Operational]
    [Range(0.1, 1e6, ErrorMessage = "must be from 0.1 to 1000000")]
    [Description("Seconds after which a second copy of a request is sent, to another endpoint where there is one; the first answer counts")]
    public double? HedgeAfter { get; init; }

    /// <summary>
    /// Kept whatever the answers turn out to be; when it is spent, what is there is published, and a run with a larger budget goes on. An
    /// answer that is lost
    /// on its way counts as many tokens as came of it, where it was streamed, else as 95 % of the others stay within (a quarter of
    /// max_tokens before there are
    /// others), one that is given up because the run is stopped as the others on average; what is on its way when the process is killed
    /// counts nothing. Where there are partitions, each has an equal fraction of the budget.
    /// </summary>
    /// <value>None.</value>
    [Operational]
    [Range(1, long.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Maximum tokens of the collection over all its runs, prompts and answers")]
    public long? MaxTokensTotal { get; init; }

    /// <inheritdoc cref="MaxTokensTotal"/>
    /// <value>None.</value>
    [Operational]
    [Range(1e-9, 1e12, ErrorMessage = "must be above 0")]
    [Description("Maximum cost of the collection over all its runs, in the currency of price_per_million")]
    public double? MaxCost { get; init; }

    /// <value>None: nothing is said about cost.</value>
    [Operational]
    [Description("Price of a million tokens: { input, output }, of prompts and answers, in any currency")]
    public TokenPrice? PricePerMillion { get; init; }

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

    /// <summary>
    /// Without it, a run whose options or problems do not ask for traces that are there any more ends before anything is asked, and says
    /// which they are.
    /// </summary>
    /// <value>False.</value>
    [Operational]
    [Description("Discard traces that the options or problems no longer ask for; without it they are listed and the run stops")]
    public bool Discard { get; init; }

    /// <value>As many as make half a gigabyte if all are as long as max_tokens, and at most 65,536.</value>
    [Operational]
    [Range(1, 10_000_000, ErrorMessage = "must be from 1 to 10000000")]
    [Description("Traces in a shard; a shard is written as soon as all of them are there")]
    public int? ShardRows { get; init; }

    /// <summary>Finished traces are written anew where it changes.</summary>
    /// <value>compact: a sixth of the size.</value>
    [Description("Layout of soft targets in the shards: compact, or plain lists topk_ids and topk_logprobs that any Parquet reader shows")]
    public SoftTargetLayout Layout { get; init; } = SoftTargetLayout.Compact;

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

    /// <value>full: a trace that was acknowledged survives the loss of power.</value>
    [Operational]
    [Description("Durability of the journal: full, normal (a power loss may cost seconds of work) or off")]
    public JournalSync Synchronous { get; init; } = JournalSync.Full;

    /// <summary>
    /// Its hash and its chat template's go into the manifest, so that a trainer can refuse a mismatch. Where the endpoint names tokens by
    /// their
    /// bytes alone, their ids are found in it.
    /// </summary>
    /// <value>None; with <see cref="Serve"/>, the model served.</value>
    [InputPath]
    [Description("Folder with the teacher's tokenizer.json")]
    public string? Tokenizer { get; init; }

    /// <value>None: a minute, and a fifth of a second for each token that may be generated.</value>
    [Operational]
    [Range(1.0, 1e6, ErrorMessage = "must be from 1 to 1000000")]
    [Description("Timeout of one attempt at a trace, in seconds")]
    public double? AttemptTimeout { get; init; }

    /// <summary>
    /// A request that fails for a passing reason is tried nine times, with pauses that grow to a minute, before its sample
    /// counts as failed. A sample that failed is asked for again once all others were, nine times again; when after such a
    /// round no trace has arrived for so long, the run ends unfinished (exit code 3), with what was collected in the journal.
    /// </summary>
    /// <value>1800: half an hour.</value>
    [Operational]
    [Range(0.0, 1e7, ErrorMessage = "must be from 0 to 10000000")]
    [Description(
        "Seconds without a trace for which samples that failed, each after nine tries, are asked for again; then the run ends, "
            + "and the next one asks for these alone"
    )]
    public double RetryFor { get; init; } = 1800;

    /// <summary>
    /// Where traces are missing in the end, and no more than this, the data set is published and its manifest says how many they are.
    /// </summary>
    /// <value>0: none.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Fraction of the traces that may be missing in the end, such as 0.01")]
    public double AllowMissing { get; init; }

    /// <value>None. OpenTelemetry's OTLP is spoken where OTEL_EXPORTER_OTLP_ENDPOINT is set.</value>
    [Operational]
    [Range(1, 65_535, ErrorMessage = "must be from 1 to 65535")]
    [Description("Port on which Prometheus finds the metrics of the requests, at /metrics")]
    public int? PrometheusPort { get; init; }

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

        if (MaxCost is not null && PricePerMillion is null && (Endpoints.Count == 0 || Endpoints.Any(endpoint => endpoint.Price is null)))
        {
            yield return new ValidationResult(
                "needs to know what tokens cost: give price_per_million: { input, output }",
                [nameof(MaxCost)]
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

        if (ApiKeyEnv is not null && ApiKeyFile is not null)
        {
            yield return new ValidationResult("name either the variable or the file that holds the key, not both", [nameof(ApiKeyFile)]);
        }

        if (!Text.Chat.ReasoningMarkers.TryName(ReasoningMarkers, out _))
        {
            yield return new ValidationResult(Text.Chat.ReasoningMarkers.NamesWanted, [nameof(ReasoningMarkers)]);
        }

        foreach (var refusal in Dialects.ExtraBody.Validate(ExtraBody, nameof(ExtraBody)))
        {
            yield return refusal;
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
