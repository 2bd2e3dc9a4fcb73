namespace TraceDistill.Teachers.Telemetry;

/// <summary>One endpoint in the file of usage: as <see cref="EndpointUsage"/>, with latencies that more can be added to.</summary>
sealed record EndpointRecord
{
    public required string Endpoint { get; init; }

    public long Answered { get; init; }

    public IReadOnlyDictionary<string, long> Failures { get; init; } = new Dictionary<string, long>();

    public long Hedged { get; init; }

    public long PromptTokens { get; init; }

    public long CompletionTokens { get; init; }

    public long UnreadTokens { get; init; }

    public long ProbeTokens { get; init; }

    public double? Cost { get; init; }

    /// <summary>Buckets of a <see cref="LatencyHistogram"/>.</summary>
    public IReadOnlyDictionary<int, long> Latencies { get; init; } = new Dictionary<int, long>();

    public EndpointRecord Plus(EndpointRecord other)
    {
        var latencies = new LatencyHistogram();
        latencies.Add(Latencies);
        latencies.Add(other.Latencies);
        return this with
        {
            Answered = Answered + other.Answered,
            Failures = Failures
                .Concat(other.Failures)
                .GroupBy(failure => failure.Key, failure => failure.Value)
                .ToDictionary(kind => kind.Key, kind => kind.Sum()),
            Hedged = Hedged + other.Hedged,
            PromptTokens = PromptTokens + other.PromptTokens,
            CompletionTokens = CompletionTokens + other.CompletionTokens,
            UnreadTokens = UnreadTokens + other.UnreadTokens,
            ProbeTokens = ProbeTokens + other.ProbeTokens,
            Cost = Cost is null && other.Cost is null ? null : (Cost ?? 0) + (other.Cost ?? 0),
            Latencies = latencies.Buckets,
        };
    }

    public EndpointUsage Summarize()
    {
        var latencies = new LatencyHistogram();
        latencies.Add(Latencies);
        return new EndpointUsage
        {
            Endpoint = Endpoint,
            Answered = Answered,
            Failures = Failures,
            Hedged = Hedged,
            PromptTokens = PromptTokens,
            CompletionTokens = CompletionTokens,
            UnreadTokens = UnreadTokens,
            ProbeTokens = ProbeTokens,
            Cost = Cost is { } cost ? Math.Round(cost, 6) : null,
            Latency = LatencySummary.Of(latencies),
        };
    }
}
