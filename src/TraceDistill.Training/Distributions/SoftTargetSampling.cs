namespace TraceDistill.Training.Distributions;

/// <summary>How soft targets are drawn from a teacher's distribution.</summary>
public enum SoftTargetSampling
{
    /// <summary>They are not: what the teacher says is compared.</summary>
    None,

    /// <summary>
    /// Tokens are drawn from a whole distribution, p̂ = count / draws: the mean of KL(p̂ ‖ q)'s gradient is that of KL(p ‖ q) (RS-KD,
    /// arXiv 2503.16870, section 4).
    /// </summary>
    RandomSampling,

    /// <summary>The same from top-k soft targets, made to sum to 1: biased, as what they leave out is never drawn.</summary>
    SampledTopK,
}
