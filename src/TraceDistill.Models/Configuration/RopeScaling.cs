namespace TraceDistill.Models.Configuration;

/// <summary>Ways of stretching rotary frequencies for sequences longer than those that a model was first trained on.</summary>
public enum RopeType
{
    /// <summary>Not at all.</summary>
    Default,

    /// <summary>Every frequency is divided by the factor.</summary>
    Linear,

    /// <summary>
    /// The base grows with the sequence, once it is longer than <c>max_position_embeddings</c>: within them, nothing changes.
    /// </summary>
    Dynamic,

    /// <summary>Low frequencies are divided by the factor, high ones kept, those between blended.</summary>
    Llama3,

    /// <summary>As Llama 3's by count of rotations, and scores are sharpened (Peng et al., arXiv 2309.00071).</summary>
    Yarn,

    /// <summary>
    /// Every frequency is divided by a factor of its own, in sequences longer than the original
    /// length by another (Ding et al., arXiv 2402.13753).
    /// </summary>
    LongRope,
}

/// <summary><c>rope_scaling</c> of <c>config.json</c>, in its words; what a type does not use is left at its value.</summary>
public sealed record RopeScaling
{
    public static readonly RopeScaling None = new() { Type = RopeType.Default };

    public required RopeType Type { get; init; }

    public double Factor { get; init; } = 1;

    /// <value>Null: <c>max_position_embeddings</c>.</value>
    public int? OriginalMaxPositionEmbeddings { get; init; }

    /// <summary>Llama 3: wavelengths above <c>original_max_position_embeddings</c> / this are low frequencies.</summary>
    public double LowFreqFactor { get; init; } = 1;

    /// <summary>Llama 3: wavelengths below <c>original_max_position_embeddings</c> / this are high frequencies.</summary>
    public double HighFreqFactor { get; init; } = 4;

    /// <summary>YaRN: rotations within the original length from which on a frequency is kept.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>YaRN: rotations within the original length up to which a frequency is divided by the whole factor.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>YaRN and LongRoPE: queries and keys are multiplied by it.</summary>
    /// <value>
    /// Null: with YaRN from <see cref="Mscale"/> and <see cref="MscaleAllDim"/>, else 0.1 · ln(factor) + 1;
    /// with LongRoPE √(1 + ln(s) / ln(original length)), s being the longest length by the original one.
    /// </value>
    public double? AttentionFactor { get; init; }

    /// <summary>YaRN, DeepSeek's form.</summary>
    public double? Mscale { get; init; }

    /// <summary>YaRN, DeepSeek's form.</summary>
    public double? MscaleAllDim { get; init; }

    /// <summary>YaRN: whether the borders of the blend are rounded to whole channels.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>[rotated channels / 2] LongRoPE: what frequencies are divided by in sequences up to the original length.</summary>
    public IReadOnlyList<double>? ShortFactor { get; init; }

    /// <summary>[rotated channels / 2] LongRoPE: what they are divided by in longer ones.</summary>
    public IReadOnlyList<double>? LongFactor { get; init; }
}
