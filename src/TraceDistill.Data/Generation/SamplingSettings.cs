namespace TraceDistill.Data.Generation;

/// <summary>Settings of drawing the next token.</summary>
public sealed record SamplingSettings
{
    /// <value>1.0. Zero is greedy decoding.</value>
    public double Temperature { get; init; } = 1.0;

    /// <value>1.0, which keeps the whole distribution.</value>
    public double TopP { get; init; } = 1.0;

    /// <value>512 generated tokens, end-of-sequence included.</value>
    public int MaxTokens { get; init; } = 512;

    /// <summary>Same request, same seed, same tokens, where the server honours seeds.</summary>
    public long? Seed { get; init; }

    /// <summary>Alternatives to report for each token; 0 asks for no logprobs.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>
    /// True where the alternatives are draws from the model's own distribution in place of the likeliest tokens: as many as
    /// <see cref="TopLogprobs"/> says, each distinct one with log(count / draws).
    /// </summary>
    public bool DrawsAlternatives { get; init; }

    /// <summary>
    /// More fields of the request, which only the server understands: the text of a JSON object, its members in ordinal order.
    /// </summary>
    /// <value>Null: none. A model in this process knows <c>chat_template_kwargs</c> alone.</value>
    public string? ExtraBody { get; init; }
}
