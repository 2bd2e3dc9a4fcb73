using System.Text.Json.Serialization;

namespace TraceDistill.Data.Generation;

/// <summary>
/// Columnar top-k logprobs of a generation. Row t is the distribution from which token t was drawn; nothing is shifted here.
/// </summary>
/// <remarks>
/// n = tokens, k = alternatives kept for each. Within a row entries are sorted by descending logprob and ids are distinct; a row with fewer
/// than k alternatives is filled with id −1 and logprob −∞ at its end. The sampled token need not be among them.
/// </remarks>
public sealed record TokenLogprobs
{
    /// <summary>Alternatives per token.</summary>
    public required int K { get; init; }

    /// <summary>[n] ids of the tokens drawn, end-of-sequence included where it was generated.</summary>
    public required int[] TokenIds { get; init; }

    /// <summary>[n] natural-log probabilities of the tokens drawn.</summary>
    public required float[] Logprobs { get; init; }

    /// <summary>[n × k] ids of the alternatives, row by row.</summary>
    public required int[] TopIds { get; init; }

    /// <summary>[n × k] natural-log probabilities of the alternatives, row by row.</summary>
    public required float[] TopLogprobs { get; init; }

    /// <summary>
    /// Where the teacher names tokens by their bytes alone: the ids above are positions in this table, which belongs to this generation.
    /// Null where the ids are the teacher's own.
    /// </summary>
    public byte[][]? TokenBytes { get; init; }

    /// <summary>
    /// The compact shard's <c>soft_targets</c> value that the alternatives were decoded from; null
    /// where they come from elsewhere. It takes a fifth of their memory, so whoever keeps many traces
    /// keeps it instead, and the alternatives empty. Who changes the alternatives sets it to null.
    /// </summary>
    [JsonIgnore]
    public byte[]? Encoded { get; init; }

    /// <summary>The same with at most so many alternatives for each token, the most probable ones.</summary>
    public TokenLogprobs Best(int k) =>
        k >= K
            ? this
            : this with
            {
                K = k,
                TopIds = [.. TopIds.Chunk(K).SelectMany(row => row.Take(k))],
                TopLogprobs = [.. TopLogprobs.Chunk(K).SelectMany(row => row.Take(k))],
                Encoded = null,
            };

    /// <summary>Number of tokens n.</summary>
    public int Count => TokenIds.Length;
}
