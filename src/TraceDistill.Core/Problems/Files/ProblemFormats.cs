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
    public static ProblemFormat Of(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".jsonl" or ".ndjson" => ProblemFormat.JsonLines,
        ".parquet" => ProblemFormat.Parquet,
        var other => throw new InvalidInputException($"{path}: unknown format '{other}'; problem files end in .jsonl or .parquet"),
    };
}
