using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Recipes;

/// <summary>A file or folder that a stage reads.</summary>
/// <param name="Key">The option that names it, dotted.</param>
/// <param name="Stage">The stage that makes it, or null where it comes from outside.</param>
/// <param name="Path">Within that stage's folder (empty for the folder itself), or the full path.</param>
/// <param name="Location">Where it is named.</param>
sealed record StageInput(string Key, string? Stage, string Path, SourceLocation Location)
{
    /// <summary>Where it lies when the run directory is <paramref name="runDirectory"/>.</summary>
    public string Locate(string runDirectory) =>
        Stage is null ? Path : System.IO.Path.GetFullPath(System.IO.Path.Combine(runDirectory, Stage, Path));

    /// <summary>Its form in a recipe.</summary>
    public string Reference =>
        Stage is null ? Path
        : Path.Length == 0 ? Stage
        : $"{Stage}/{Path}";
}
