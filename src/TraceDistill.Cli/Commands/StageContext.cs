using TraceDistill.Core.Observation;

namespace TraceDistill.Cli.Commands;

/// <summary>What a verb is given beside its options.</summary>
sealed record StageContext
{
    /// <summary>Where to write: the stage's working folder, or what <c>--out</c> says; null where nothing was said.</summary>
    public string? Output { get; init; }

    /// <summary>The run directory, when the verb runs as a stage.</summary>
    public string? RunDirectory { get; init; }

    /// <summary>What the stage made before something changed; null where there is nothing.</summary>
    public EarlierOutput? Earlier { get; init; }

    /// <summary>How results name a file: within the run directory from there, so that a run's files do not depend on where it lies.</summary>
    public string NameOf(string path) =>
        RunDirectory is { } run && Path.GetFullPath(path).StartsWith(run + Path.DirectorySeparatorChar, StringComparison.Ordinal) ? Path.GetRelativePath(run, path) : path;

    public required IRunObserver Observer { get; init; }

    public required TimeProvider TimeProvider { get; init; }
}
