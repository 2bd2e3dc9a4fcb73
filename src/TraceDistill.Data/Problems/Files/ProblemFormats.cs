using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems.Files;

enum ProblemFormat
{
    JsonLines,
    Json,
    Parquet,
}

static class ProblemFormats
{
    const string Compressed = ".gz";

    /// <exception cref="InvalidInputException">The extension tells no format.</exception>
    public static ProblemFormat Of(string path) =>
        Find(path) ?? throw Unknown(path, ".jsonl, .json or .parquet, the first two also with .gz");

    /// <summary>The format of a file to be written.</summary>
    /// <exception cref="InvalidInputException">The extension tells none that can be written.</exception>
    public static ProblemFormat OfTarget(string path) =>
        !IsCompressed(path) && Find(path) is ProblemFormat.JsonLines or ProblemFormat.Parquet
            ? Of(path)
            : throw Unknown(path, ".jsonl or .parquet");

    /// <returns>The format that the extension tells, or null.</returns>
    public static ProblemFormat? Find(string path) =>
        (Path.GetExtension(WithoutCompression(path)).ToLowerInvariant(), IsCompressed(path)) switch
        {
            (".jsonl" or ".ndjson", _) => ProblemFormat.JsonLines,
            (".json", _) => ProblemFormat.Json,
            (".parquet", false) => ProblemFormat.Parquet,
            _ => null,
        };

    /// <summary>Returns whether a file is compressed by gzip as a whole.</summary>
    public static bool IsCompressed(string path) => path.EndsWith(Compressed, StringComparison.OrdinalIgnoreCase);

    /// <summary>The file's name without folder and extensions: the family of problems that have none of their own.</summary>
    public static string NameOf(string path) => Path.GetFileNameWithoutExtension(WithoutCompression(path));

    static string WithoutCompression(string path) => IsCompressed(path) ? path[..^Compressed.Length] : path;

    static InvalidInputException Unknown(string path, string known) =>
        new($"{path}: unknown format '{Path.GetExtension(path)}'; problem files end in {known}");
}
