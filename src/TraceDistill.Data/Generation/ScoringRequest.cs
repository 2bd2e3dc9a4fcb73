namespace TraceDistill.Data.Generation;

/// <summary>A text that exists, of which a model is to say how likely its tokens were.</summary>
/// <param name="Id">Names the request in messages and logs; for a trace its id.</param>
/// <param name="Tokens">[n] context and text in the model's own token ids, a beginning-of-sequence token where it has one included.</param>
/// <param name="First">Index of the first token that is scored, from 1: those before it are context.</param>
/// <param name="TopLogprobs">Alternatives to report for each scored token.</param>
public sealed record ScoringRequest(string Id, int[] Tokens, int First, int TopLogprobs)
{
    /// <summary>
    /// Seed with which the alternatives are drawn from the model's own distribution, as many as <see cref="TopLogprobs"/> says and each
    /// distinct one with log(count / draws).
    /// </summary>
    /// <value>Null: they are the likeliest tokens.</value>
    public long? DrawSeed { get; init; }

    /// <summary>The tokens that are scored.</summary>
    public ReadOnlySpan<int> Scored => Tokens.AsSpan(First);
}
