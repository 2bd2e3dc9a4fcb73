namespace TraceDistill.Training.Distributions;

/// <summary>How soft targets are made of what a teacher says.</summary>
public sealed record TargetPolicy
{
    /// <summary>Treatment of the probability outside the top k.</summary>
    /// <value>tail_bucket.</value>
    public MissingMass MissingMass { get; init; }

    /// <summary>Tokens to keep of a teacher that is a model, the most probable ones.</summary>
    /// <value>Null: all.</value>
    public int? TopK { get; init; }

    /// <value>none.</value>
    public SoftTargetSampling Sampling { get; init; }

    /// <summary>Tokens drawn of each distribution, where any are.</summary>
    /// <value>12.</value>
    public int Draws { get; init; } = 12;

    /// <summary>Seed of the draws.</summary>
    public long Seed { get; init; }
}
