namespace TraceDistill.Teachers.Telemetry;

/// <summary>Usage of a collection's teacher, over all runs that contributed to it.</summary>
public sealed record CollectionUsage
{
    /// <summary>Prompt and generated tokens, those of answers that were not kept included.</summary>
    public required long Tokens { get; init; }

    /// <summary>Their cost, in the currency of the price; null without one.</summary>
    public required double? Cost { get; init; }

    /// <summary>Attempts that failed and were made again or given up.</summary>
    public required long Failures { get; init; }

    /// <summary>Latency of answered requests at all endpoints.</summary>
    public required LatencySummary Latency { get; init; }

    public required IReadOnlyList<EndpointUsage> Endpoints { get; init; }

    internal static CollectionUsage Of(IEnumerable<EndpointRecord> records)
    {
        var endpoints = records.Select(record => record.Summarize()).ToList();
        var latencies = new LatencyHistogram();
        foreach (var record in records)
        {
            latencies.Add(record.Latencies);
        }

        return new CollectionUsage
        {
            Tokens = endpoints.Sum(endpoint => endpoint.PromptTokens + endpoint.CompletionTokens),
            Cost = endpoints.Any(endpoint => endpoint.Cost is not null) ? endpoints.Sum(endpoint => endpoint.Cost ?? 0) : null,
            Failures = endpoints.Sum(endpoint => endpoint.Failures.Values.Sum()),
            Latency = LatencySummary.Of(latencies),
            Endpoints = endpoints,
        };
    }
}
