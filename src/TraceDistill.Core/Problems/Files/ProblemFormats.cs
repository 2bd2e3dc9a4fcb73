using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Problems.Files;

enum ProblemFormat
{
    JsonLines,
    Parquet,
}

static class ProblemFormats
{
    /// <exception cref="InvalidInputException">The extension tells no format.</exception>
    public static ProblemFormat Of(string path) =>
        Find(path) ?? throw new InvalidInputException($"{path}: unknown format '{Path.GetExtension(path)}'; problem files end in .jsonl or .parquet");

    /// <returns>The format that the extension tells, or null.</returns>
    public static ProblemFormat? Find(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".jsonl" or ".ndjson" => ProblemFormat.JsonLines,
        ".parquet" => ProblemFormat.Parquet,
        _ => null,
    };
}
