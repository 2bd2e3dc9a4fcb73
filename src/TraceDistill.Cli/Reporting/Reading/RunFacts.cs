using TraceDistill.Cli.Progress;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>Everything the report says, as the files of a run directory say it. What a run does not have is empty or null.</summary>
sealed record RunFacts
{
    /// <summary>The recipe's name, or the directory's.</summary>
    public required string Name { get; init; }

    /// <summary>The resolved recipe's text.</summary>
    public string? Recipe { get; init; }

    /// <summary>Finished stages, in the order in which they ran.</summary>
    public required IReadOnlyList<StageFacts> Stages { get; init; }

    public required IReadOnlyList<EvaluationFacts> Evaluations { get; init; }

    /// <summary>Measured classifiers.</summary>
    public IReadOnlyList<LabelFacts> Labels { get; init; } = [];

    public required IReadOnlyList<TraceFacts> Traces { get; init; }

    public required IReadOnlyList<MetricsLine> Metrics { get; init; }

    /// <summary>Ways of training that are compared over seeds; null where there are none.</summary>
    public MethodComparison? Methods { get; init; }

    /// <summary>Seconds that all stages took; what ran at the same time counts once.</summary>
    public double Seconds
    {
        get
        {
            var (overlap, reached) = (0.0, DateTimeOffset.MinValue);
            foreach (
                var (start, end) in Stages
                    .Select(stage => stage.LastAttempt)
                    .OfType<(DateTimeOffset Start, DateTimeOffset End)>()
                    .OrderBy(attempt => attempt.Start)
            )
            {
                overlap += Math.Max(0, ((end < reached ? end : reached) - start).TotalSeconds);
                reached = end > reached ? end : reached;
            }

            return Math.Max(0, Stages.Sum(stage => stage.Seconds) - overlap);
        }
    }

    /// <summary>The most memory that was held at once, in bytes: what stages held at most that ran at the same time, added up.</summary>
    public long PeakMemoryBytes =>
        Stages
            .Select(stage => Stages.Where(other => other == stage || RanAtTheStartOf(stage, other)).Sum(other => other.PeakMemoryBytes))
            .DefaultIfEmpty(0)
            .Max();

    static bool RanAtTheStartOf(StageFacts stage, StageFacts other) =>
        stage.LastAttempt is { Start: var start } && other.LastAttempt is { } attempt && attempt.Start <= start && start < attempt.End;

    /// <summary>The evaluation that the headline speaks of: the one with most models that this run trained.</summary>
    public EvaluationFacts? Main => Evaluations.MaxBy(evaluation => evaluation.Models.Count(model => model.IsResult));
}
