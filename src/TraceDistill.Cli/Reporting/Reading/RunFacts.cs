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

    public required IReadOnlyList<TraceFacts> Traces { get; init; }

    public required IReadOnlyList<MetricsLine> Metrics { get; init; }

    /// <summary>The evaluation that the headline speaks of: the one with most models that this run trained.</summary>
    public EvaluationFacts? Main => Evaluations.MaxBy(evaluation => evaluation.Models.Count(model => model.IsResult));
}
