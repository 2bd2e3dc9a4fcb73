using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Options;

/// <summary>
/// Options of verbs that ask a teacher, over HTTP or on this machine, and keep what it says in shards: where it is, how much may be asked
/// of it at a time and in all, and how it is kept.
/// </summary>
public abstract record TeacherOptions : ProblemReaderOptions, IDeviceOptions
{
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
    [Description("Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one; used with a model on this machine only")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

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
    /// counts nothing. A text that is scored counts its tokens, and one that is generated behind them where the server wants that. Where
    /// there are partitions, each has an equal fraction of the budget.
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

    /// <summary>
    /// Without it, a run whose options or problems do not ask for traces that are there any more ends before anything is asked, and says
    /// which they are.
    /// </summary>
    /// <value>False.</value>
    [Operational]
    [Description("Discard traces that the options or problems no longer ask for; without it they are listed and the run stops")]
    public bool Discard { get; init; }

    /// <summary>Finished traces are written anew where it changes.</summary>
    /// <value>compact: a sixth of the size.</value>
    [Description("Layout of soft targets in the shards: compact, or plain lists topk_ids and topk_logprobs that any Parquet reader shows")]
    public SoftTargetLayout Layout { get; init; } = SoftTargetLayout.Compact;

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

    /// <value>None: a minute, and a fifth of a second for each token that may be generated or is to be scored.</value>
    [Operational]
    [Range(1.0, 1e6, ErrorMessage = "must be from 1 to 1000000")]
    [Description(
        "Timeout of one attempt at a request, in seconds; unless given, a minute and a fifth of a second for each token that may be "
            + "generated or is to be scored"
    )]
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

    DeviceChoice? IDeviceOptions.Device => ComputesHere ? Device : null;

    /// <summary>True where a model computes in this process.</summary>
    protected virtual bool ComputesHere => Serve is not null;

    /// <summary>Finds what is wrong with price and key, whatever the verb.</summary>
    protected IEnumerable<ValidationResult> ValidateTeacher()
    {
        if (MaxCost is not null && PricePerMillion is null && (Endpoints.Count == 0 || Endpoints.Any(endpoint => endpoint.Price is null)))
        {
            yield return new ValidationResult(
                "needs to know what tokens cost: give price_per_million: { input, output }",
                [nameof(MaxCost)]
            );
        }

        if (ApiKeyEnv is not null && ApiKeyFile is not null)
        {
            yield return new ValidationResult("name either the variable or the file that holds the key, not both", [nameof(ApiKeyFile)]);
        }
    }
}
