using TraceDistill.Data.Generation;

namespace TraceDistill.Inference.Sequences;

/// <summary>A finished sequence.</summary>
public sealed record SequenceResult
{
    /// <summary>The tokens generated, end-of-sequence included.</summary>
    public required int[] Tokens { get; init; }

    /// <summary>True where the sequence ended by a stop token or by its sink's word, and not by its length.</summary>
    public required bool Stopped { get; init; }

    /// <summary>Raw log-probabilities (before temperature) of <see cref="Tokens"/>; null unless asked for.</summary>
    public TokenLogprobs? Logprobs { get; init; }

    /// <summary>Raw log-probabilities of the prompt from <see cref="SequenceRequest.FirstScored"/> on; null unless asked for.</summary>
    public TokenLogprobs? PromptLogprobs { get; init; }
}
