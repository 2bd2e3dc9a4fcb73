using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TraceDistill.Core.Concurrency;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Problems.Files;
using TraceDistill.Core.Traces;

namespace TraceDistill.Core.Problems;

/// <summary>Reads problem files, a record at a time.</summary>
/// <remarks>
/// Formats by extension: <c>.jsonl</c> (or <c>.ndjson</c>) and <c>.parquet</c>. Forms by field names: <c>problem</c>, <c>answer</c> and
/// optionally <c>solution</c>; or GSM8K's <c>question</c> and <c>answer</c> with a last line <c>#### 72</c>. A <c>question</c> whose answer is
/// a number alone, or that has a <c>solution</c>, is read as a <c>problem</c>. Optional in both: <c>id</c> (else a hash of the text) and
/// <c>family</c> (else <c>gsm8k</c>, or the file's name). Null is the same as absent; other fields are passed over.
/// </remarks>
public static class ProblemReader
{
    /// <summary>Reads the problems of a file in their order.</summary>
    /// <exception cref="InvalidInputException">
    /// The file is absent, empty, of an unknown format or unreadable, or a record is malformed, lacks a field, or repeats an id; the message
    /// names file, line and field.
    /// </exception>
    public static async IAsyncEnumerable<Problem> ReadAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        // A million ids as texts would take more memory than all else that a reader of the file holds.
        var places = new Dictionary<TraceKey, int>();
        var family = Path.GetFileNameWithoutExtension(path);
        await foreach (var (row, problem, key) in Rows(path, _ => true, cancellationToken).MapInOrderAsync(Read, cancellationToken))
        {
            if (!places.TryAdd(key, row.Where.Number))
                throw Repeated(row, problem, row.Where with { Number = places[key] });
            yield return problem;
        }

        if (places.Count == 0)
            throw new InvalidInputException($"{path}: the file holds no problems");

        (ProblemRow Row, Problem Problem, TraceKey Key) Read(ProblemRow row)
        {
            var problem = row.ToProblem(family);
            Span<byte> hash = stackalloc byte[TraceKey.Size];
            XxHash128.Hash(MemoryMarshal.AsBytes(problem.Id.AsSpan()), hash);
            return (row, problem, TraceKey.Read(hash));
        }
    }

    /// <summary>Reads some problems of a file that <see cref="ReadAsync"/> has found to be sound, in their order.</summary>
    /// <param name="path">The file.</param>
    /// <param name="isWanted">Which problems, counted from 0; asked of each in order.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The file has changed so that it cannot be read.</exception>
    public static IAsyncEnumerable<Problem> ReadSomeAsync(string path, Predicate<int> isWanted, CancellationToken cancellationToken = default)
    {
        var family = Path.GetFileNameWithoutExtension(path);
        return Rows(path, isWanted, cancellationToken).Select(row => row.ToProblem(family));
    }

    static IAsyncEnumerable<ProblemRow> Rows(string path, Predicate<int> isWanted, CancellationToken cancellationToken)
    {
        if (Directory.Exists(path))
            throw new InvalidInputException($"{path}: is a folder; name a .jsonl or .parquet file in it{Examples(path)}");
        if (!File.Exists(path))
            throw new InvalidInputException($"{path}: no such file");
        try
        {
            File.OpenRead(path).Dispose();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{path}: cannot be read ({error.Message.TrimEnd('.')})", error);
        }

        return ProblemFormats.Of(path) == ProblemFormat.Parquet ? ParquetProblems.ReadAsync(path, isWanted, cancellationToken) : JsonLines.ReadAsync(path, isWanted, cancellationToken);
    }

    static string Examples(string folder)
    {
        var files = Directory.EnumerateFiles(folder).Where(file => ProblemFormats.Find(file) is not null).Select(Path.GetFileName).Order(StringComparer.Ordinal).Take(3).ToList();
        return files.Count > 0 ? $", such as {string.Join(" or ", files)}" : "";
    }

    static InvalidInputException Repeated(ProblemRow row, Problem problem, RowPlace first) => new(row.Fields.ContainsKey("id")
        ? $"{row.Where}: field 'id' repeats '{problem.Id}' of {first.WithinFile}; ids must be unique"
        : $"{row.Where}: repeats the problem of {first.WithinFile}; remove one or give each an 'id'");
}
