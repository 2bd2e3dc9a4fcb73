using TraceDistill.Cli.Secrets;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Stages;

/// <summary>Context of a verb beside its options.</summary>
sealed record StageContext
{
    /// <summary>Where to write: the stage's working folder, or what <c>--out</c> says; null where nothing was said.</summary>
    public string? Output { get; init; }

    /// <summary>The run directory, when the verb runs as a stage.</summary>
    public string? RunDirectory { get; init; }

    /// <summary>Output that the stage made before something changed; null where there is nothing.</summary>
    public EarlierOutput? Earlier { get; init; }

    /// <summary>True where the user lets what a stage made under other options be given up.</summary>
    public bool IsDiscarded { get; init; }

    /// <summary>The stage's folder once it is finished, when the verb runs as a stage.</summary>
    public string? Published { get; init; }

    /// <summary>
    /// Name of a file in results: within the run directory from there, so that a run's files do not depend on where it lies, and as it
    /// will be called.
    /// </summary>
    public string NameOf(string path)
    {
        if (Published is not null && Output is not null && IsIn(Output, path))
        {
            path = Path.GetFullPath(Path.Combine(Published, Path.GetRelativePath(Output, path)));
        }

        return RunDirectory is { } run && IsIn(run, path) ? Path.GetRelativePath(run, Path.TrimEndingDirectorySeparator(path)) : path;
    }

    static bool IsIn(string folder, string path) =>
        Path.GetFullPath(path) is var full
        && (full == folder || full.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal));

    /// <summary>Where keys may go; null inside a run, which has looked at all its stages before.</summary>
    public KeyPermissions? Keys { get; init; }

    public required IRunObserver Observer { get; init; }

    public required TimeProvider TimeProvider { get; init; }
}
