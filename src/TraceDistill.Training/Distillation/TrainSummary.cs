namespace TraceDistill.Training.Distillation;

/// <summary>Result of <c>train</c>.</summary>
public sealed record TrainSummary
{
    /// <summary>Number of parameters.</summary>
    public required long Parameters { get; init; }

    /// <summary>Number of trainable parameters; those of adapters are not among <see cref="Parameters"/>.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>Sequences learned from.</summary>
    public required int Sequences { get; init; }

    /// <summary>Traces left out because a token limit cut them off.</summary>
    public required int Unfinished { get; init; }

    /// <summary>Traces left out because they were not verified as correct.</summary>
    public required int NotCorrect { get; init; }

    /// <summary>Sequences left out because they are longer than the student's positions.</summary>
    public required int TooLong { get; init; }

    /// <summary>Number of optimizer steps.</summary>
    public required long Steps { get; init; }

    /// <summary>Mean loss of the last step, nats.</summary>
    public required double Loss { get; init; }

    /// <summary>Share of trained tokens with soft targets, for a teacher with another vocabulary; null where both share one.</summary>
    public double? AlignedTokens { get; init; }

    /// <summary>Share of the probability reported for these that stands on the student's tokens.</summary>
    public double? AlignedMass { get; init; }
}
