using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Wire;

/// <summary>The tokens of one generation with their logprobs, as far as they have been read.</summary>
/// <param name="k">Alternatives kept for each token.</param>
sealed class LogprobTokens(int k)
{
    public LogprobColumns Columns { get; } = new(k);

    public TokenBytesTable Bytes { get; } = new();

    /// <summary>Known after the first token; every later one must be as good.</summary>
    public TokenNaming? Naming { get; set; }

    /// <summary>Tokens that were listed, named or not.</summary>
    public int Listed { get; set; }

    /// <summary>True where the last entry has neither token nor probability: how some servers list the end of the sequence.</summary>
    public bool IsEndUntold { get; set; }

    /// <summary>True once a <c>content</c> list was seen, whatever the grade of its tokens.</summary>
    public bool Found { get; set; }

    /// <summary>Why they are no good, as what the server did; null where nothing was found.</summary>
    public LogprobLack? Lack { get; private set; }

    /// <summary>Takes note of what is wrong; the first finding stands.</summary>
    /// <param name="problem">As what the server did.</param>
    /// <param name="isPartial">True where it is of this answer's text alone.</param>
    public void Spoil(string problem, bool isPartial = false) => Lack ??= new LogprobLack(problem, isPartial);

    /// <summary>The columns, or null where there is a <see cref="Lack"/>.</summary>
    /// <param name="tokenIds">The server's own list of the ids drawn, to check against; empty where it has none.</param>
    public TokenLogprobs? ToTokenLogprobs(IReadOnlyList<int> tokenIds)
    {
        if (IsEndUntold && tokenIds.Count == Columns.Count + 1)
        {
            Columns.EndRow(tokenIds[^1], LogprobColumns.Floor);
        }

        if (Naming == TokenNaming.Ids && tokenIds.Count > 0 && !Columns.TokenIds.SequenceEqual(tokenIds))
        {
            Spoil($"returned token_ids ({tokenIds.Count} tokens) and logprobs ({Columns.Count} tokens) that are not of the same tokens");
        }

        return Lack is not null ? null : Columns.ToTokenLogprobs(Naming == TokenNaming.Bytes ? Bytes.ToArray() : null);
    }
}

/// <summary>Names that a response gives tokens.</summary>
enum TokenNaming
{
    Text,
    Bytes,
    Ids,
}
