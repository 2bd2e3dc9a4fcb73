using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Statistics;

/// <summary>Figures of a data set of traces: for <c>inspect</c> and the report.</summary>
public sealed record TraceStatistics
{
    /// <summary>Traces.</summary>
    public required long Count { get; init; }

    /// <summary>Generated tokens.</summary>
    public required long Tokens { get; init; }

    /// <summary>Size of the shards on disk.</summary>
    public required long Bytes { get; init; }

    /// <summary>All columns of the shards, over generated tokens; 0 where there are none.</summary>
    public double BytesPerToken => Tokens == 0 ? 0 : (double)Bytes / Tokens;

    /// <summary>Alternatives kept for each token.</summary>
    public required int TopK { get; init; }

    /// <summary>Lengths of generations.</summary>
    public required LengthDistribution CompletionLengths { get; init; }

    /// <summary>Lengths of prompts.</summary>
    public required LengthDistribution PromptLengths { get; init; }

    /// <summary>Number of traces with each verdict.</summary>
    public required IReadOnlyDictionary<string, long> Verdicts { get; init; }

    /// <summary>Number of traces with each finish reason.</summary>
    public required IReadOnlyDictionary<string, long> FinishReasons { get; init; }

    /// <summary>By problem family.</summary>
    public required IReadOnlyDictionary<string, SourceStatistics> Sources { get; init; }

    /// <summary>Mean probability that the alternatives of a token hold together; null where there are no soft targets.</summary>
    public required double? CapturedMass { get; init; }

    /// <summary>
    /// Mean entropy of a token's soft targets in nats, the tail counted as one more outcome; null where there are no soft targets.
    /// </summary>
    public required double? Entropy { get; init; }

    /// <summary>Reads a data set once, in bounded memory.</summary>
    /// <exception cref="InvalidInputException">A shard is damaged.</exception>
    public static async Task<TraceStatistics> ComputeAsync(ShardReader reader, CancellationToken cancellationToken = default)
    {
        var totals = new TraceTotals();
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            totals.Add(trace);
        }

        return totals.Summarize(reader.Bytes, reader.Dataset.TopK);
    }
}
