using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Wire;

/// <summary>The tokens of one generation with their logprobs, as far as they have been read.</summary>
/// <param name="k">Alternatives kept for each token.</param>
sealed class LogprobTokens(int k)
{
    public LogprobColumns Columns { get; } = new(k);

    public TokenBytesTable Bytes { get; } = new();

    /// <summary>Known after the first token; every later one must be as good.</summary>
    public TokenNaming? Naming { get; set; }

    /// <summary>True once a <c>content</c> list was seen, whatever the grade of its tokens.</summary>
    public bool Found { get; set; }

    /// <summary>The columns, or null where the tokens are known by their text alone.</summary>
    /// <param name="tokenIds">The server's own list of the ids drawn, to check against; empty where it has none.</param>
    /// <exception cref="WireFormatException">The two lists differ.</exception>
    public TokenLogprobs? ToTokenLogprobs(IReadOnlyList<int> tokenIds)
    {
        if (Naming == TokenNaming.Ids && tokenIds.Count > 0 && !Columns.TokenIds.SequenceEqual(tokenIds))
        {
            throw new WireFormatException($"token_ids ({tokenIds.Count} tokens) and logprobs.content ({Columns.Count} tokens) are not the same tokens");
        }

        return Naming switch
        {
            TokenNaming.Text => null,
            TokenNaming.Bytes => Columns.ToTokenLogprobs(Bytes.ToArray()),
            _ => Columns.ToTokenLogprobs(tokenBytes: null),
        };
    }
}

/// <summary>How a response names tokens.</summary>
enum TokenNaming
{
    Text,
    Bytes,
    Ids,
}
