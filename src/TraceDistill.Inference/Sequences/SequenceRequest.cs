using TraceDistill.Data.Pictures;

namespace TraceDistill.Inference.Sequences;

/// <summary>One sequence to be continued, in tokens.</summary>
public sealed record SequenceRequest
{
    /// <summary>
    /// At least one token; not to be changed until the sequence is over. Sequences that run at once with the same prompt (and picture) work
    /// it out once.
    /// </summary>
    public required ReadOnlyMemory<int> Prompt { get; init; }

    /// <summary>
    /// What stands in the prompt where its tokens are <see cref="Models.PicturePrompt.Token"/>, in the size that the model looks at.
    /// </summary>
    /// <value>Null: the prompt is text.</value>
    public Picture? Picture { get; init; }

    /// <summary>
    /// The most tokens to generate, end-of-sequence included; 0 only scores the prompt. The model's context bounds it further.
    /// </summary>
    public required int MaxTokens { get; init; }

    /// <value>1.0. Zero is greedy decoding.</value>
    public double Temperature { get; init; } = 1;

    /// <value>1.0, which keeps the whole distribution. Zero keeps the likeliest token alone.</value>
    public double TopP { get; init; } = 1;

    /// <value>0, which keeps the whole vocabulary.</value>
    public int TopK { get; init; }

    /// <summary>Same model, prompt, settings, seed and sample index: same tokens, whatever else is being generated.</summary>
    public long Seed { get; init; }

    /// <summary>Which of several samples of one request this is; each has its own random stream.</summary>
    public int SampleIndex { get; init; }

    /// <summary>Tokens that end the sequence; null takes the model's end-of-sequence tokens.</summary>
    public IReadOnlyList<int>? StopTokens { get; init; }

    /// <summary>Alternatives to report for each generated token; 0 reports the drawn token's own log-probability, null nothing.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>
    /// Alternatives to report for each prompt token from <see cref="FirstScored"/> on; null does not score the prompt.
    /// </summary>
    public int? PromptTopLogprobs { get; init; }

    /// <summary>
    /// True where the alternatives of a token are tokens drawn from the model's own distribution in place of the likeliest ones: as many
    /// independent draws with replacement as alternatives are asked for, at temperature 1 and from the whole vocabulary. Each distinct
    /// one is reported once, the more frequent first, with log(count / draws) as its log-probability: the mean of these p̂ over seeds is
    /// the distribution (RS-KD, arXiv 2503.16870, section 4).
    /// </summary>
    /// <remarks>Draws depend on seed, sample index and the token's position in the text, prompt included, and on nothing else.</remarks>
    /// <value>False.</value>
    public bool DrawsAlternatives { get; init; }

    /// <summary>Index of the first prompt token that is scored: what stands before it is context alone, and costs no logits.</summary>
    /// <value>1: nothing predicts the very first token.</value>
    public int FirstScored { get; init; } = 1;

    /// <summary>Notified of each token as it is drawn.</summary>
    public ITokenSink? Sink { get; init; }
}
