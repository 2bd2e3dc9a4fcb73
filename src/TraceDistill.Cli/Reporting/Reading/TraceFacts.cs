using TraceDistill.Data.Traces;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>One data set of traces in a run.</summary>
sealed record TraceFacts
{
    public required StageFacts Stage { get; init; }

    public required string Teacher { get; init; }

    public required long Count { get; init; }

    public required long Tokens { get; init; }

    /// <summary>Size of the shards.</summary>
    public required long Bytes { get; init; }

    /// <summary>Alternatives kept for each token; 0 where there are no soft targets.</summary>
    public required int TopK { get; init; }

    /// <summary>Length and end of each trace.</summary>
    public required IReadOnlyList<TraceLength> Lengths { get; init; }

    /// <summary>A few traces to look at.</summary>
    public required IReadOnlyList<Trace> Examples { get; init; }

    /// <summary>Spells the examples' token ids; null where no model of the run has that tokenizer.</summary>
    public required Tokenizer? Tokenizer { get; init; }
}

/// <param name="Tokens">Completion tokens.</param>
/// <param name="Verdict"><c>correct</c>, <c>incorrect</c> or <c>unverified</c>.</param>
/// <param name="IsTruncated">True where the token limit ended it.</param>
readonly record struct TraceLength(int Tokens, string Verdict, bool IsTruncated);
