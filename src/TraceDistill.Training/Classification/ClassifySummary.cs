using TraceDistill.Data.Statistics;

namespace TraceDistill.Training.Classification;

/// <summary>Result of <c>classify</c>.</summary>
public sealed record ClassifySummary
{
    /// <summary>Number of weights of all tasks together, those that they share counted once.</summary>
    public required long Parameters { get; init; }

    /// <summary>Number of optimizer steps.</summary>
    public required long Steps { get; init; }

    /// <summary>Loss of the last step.</summary>
    public required double Loss { get; init; }

    /// <summary>By name.</summary>
    public required IReadOnlyDictionary<string, TaskSummary> Tasks { get; init; }
}

/// <summary>One task of <c>classify</c>.</summary>
/// <param name="Parameters">Number of weights of its model.</param>
/// <param name="Labels">Number of labels.</param>
/// <param name="Texts">Texts learned from.</param>
/// <param name="Unlabelled">Those of them without labels.</param>
/// <param name="HeldOut">
/// Figures of the finished model on held-out texts, by the file's labels and the teacher's; null where none were held out.
/// </param>
public sealed record TaskSummary(long Parameters, int Labels, int Texts, int Unlabelled, LabelScores? HeldOut);
