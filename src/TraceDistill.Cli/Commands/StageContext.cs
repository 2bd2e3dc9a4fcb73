using TraceDistill.Core.Observation;

namespace TraceDistill.Cli.Commands;

/// <summary>What a verb is given beside its options.</summary>
sealed record StageContext
{
    /// <summary>Where to write: the stage's working folder, or what <c>--out</c> says; null where nothing was said.</summary>
    public string? Output { get; init; }

    /// <summary>The run directory, when the verb runs as a stage.</summary>
    public string? RunDirectory { get; init; }

    public required IRunObserver Observer { get; init; }

    public required TimeProvider TimeProvider { get; init; }
}
