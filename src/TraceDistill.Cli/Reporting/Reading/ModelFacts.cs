using TraceDistill.Evaluation;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>One model that a run evaluated.</summary>
sealed record ModelFacts
{
    /// <summary>Its name in the evaluation.</summary>
    public required string Name { get; init; }

    public required ModelScores Scores { get; init; }

    /// <summary>Generated tokens a second, where it was measured.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>The stage of this run that trained it, or exported it over a matrix; null where it came from outside.</summary>
    public StageFacts? Stage { get; init; }

    /// <summary>True where it is that stage's result, not something else in its folder such as the untrained start.</summary>
    public bool IsResult { get; init; }

    /// <summary>Index of its colour; copies that a matrix made share one.</summary>
    public required int Color { get; init; }

    /// <summary>A trained model of its own, not one copy of many.</summary>
    public bool IsSingleResult => IsResult && Stage!.Copy.Length == 0;
}
