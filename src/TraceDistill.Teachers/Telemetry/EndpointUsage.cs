namespace TraceDistill.Teachers.Telemetry;

/// <summary>Requests to one endpoint and their outcomes, over all runs of a collection.</summary>
public sealed record EndpointUsage
{
    /// <summary>Its model and address.</summary>
    public required string Endpoint { get; init; }

    /// <summary>Requests answered.</summary>
    public long Answered { get; init; }

    /// <summary>
    /// Attempts that failed, by kind: <c>http_429</c>, <c>timeout</c>, <c>no_connection</c>,
    /// <c>broken_connection</c>, <c>unusable_response</c>.
    /// </summary>
    public IReadOnlyDictionary<string, long> Failures { get; init; } = new Dictionary<string, long>();

    /// <summary>Requests sent as a hedge whose other copy was quicker.</summary>
    public long Hedged { get; init; }

    public long PromptTokens { get; init; }

    /// <summary>Generated tokens.</summary>
    public long CompletionTokens { get; init; }

    /// <summary>
    /// Tokens of answers that never arrived whole, an estimate by the lengths of the others: those of attempts that timed
    /// out or broke off, and of hedged requests whose other copy was quicker. They are in the two counts above as well.
    /// </summary>
    public long UnreadTokens { get; init; }

    /// <summary>
    /// Tokens of the small requests by which it was found out what the endpoint can do; they are in the two counts above as well.
    /// </summary>
    public long ProbeTokens { get; init; }

    /// <summary>Cost of the tokens, in the currency of the price; null without one.</summary>
    public double? Cost { get; init; }

    /// <summary>Latency of answered requests, from sending to the last byte.</summary>
    public LatencySummary Latency { get; init; } = new(null, null, null);
}

/// <summary>Seconds that half, 95 % and 99 % of the requests stayed within; null where there was none.</summary>
public sealed record LatencySummary(double? P50, double? P95, double? P99)
{
    public static LatencySummary Of(LatencyHistogram latencies) =>
        new(latencies.Quantile(0.5), latencies.Quantile(0.95), latencies.Quantile(0.99));
}
