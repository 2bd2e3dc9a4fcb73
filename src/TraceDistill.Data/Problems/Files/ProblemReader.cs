using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TraceDistill.Data.Determinism;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Problems.Files;

/// <summary>Reads problem files, a record at a time.</summary>
/// <remarks>
/// Formats by extension: <c>.jsonl</c> (or <c>.ndjson</c>), <c>.json</c>, both with <c>.gz</c> too, and <c>.parquet</c>.
/// Which fields hold problem, answer and solution is found by the names that data sets use (<see cref="ProblemForms"/>),
/// or said in <see cref="ProblemReaderOptions"/>. Optional: <c>id</c> (else a hash of the text) and <c>family</c> (else
/// <c>gsm8k</c>, or the file's name), <c>picture</c> (a path from the file's folder on). Null is the same as absent; other fields are
/// passed over.
/// </remarks>
public static class ProblemReader
{
    /// <summary>Reads the problems of a file in their order.</summary>
    /// <exception cref="InvalidInputException">
    /// The file is absent, empty, of an unknown format or unreadable, or a record is malformed,
    /// has no problem, or repeats an id; the message names file, line and field.
    /// </exception>
    public static IAsyncEnumerable<Problem> ReadAsync(string path, CancellationToken cancellationToken = default) =>
        ReadAsync(path, new ProblemReaderOptions(), counts: null, cancellationToken);

    /// <inheritdoc cref="ReadAsync(string, CancellationToken)"/>
    /// <param name="path">The file.</param>
    /// <param name="options">Names of its fields.</param>
    /// <param name="counts">Counts what is read; null where they are not wanted.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static IAsyncEnumerable<Problem> ReadAsync(
        string path,
        ProblemReaderOptions options,
        ProblemCounts? counts = null,
        CancellationToken cancellationToken = default
    ) => ReadWithPlacesAsync(path, options, counts, cancellationToken).Select(read => read.Problem);

    /// <inheritdoc cref="ReadAsync(string, ProblemReaderOptions, ProblemCounts?, CancellationToken)"/>
    /// <returns>The problems, each with the number of its record in the file, from 0.</returns>
    public static async IAsyncEnumerable<(int Record, Problem Problem)> ReadWithPlacesAsync(
        string path,
        ProblemReaderOptions options,
        ProblemCounts? counts = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        // A million ids as texts would take more memory than all else that a reader of the file holds.
        var places = new Dictionary<TraceKey, (int Number, ulong Text)>();
        var forms = new ProblemForms(options, ProblemFormats.NameOf(path), FolderOf(path));
        var record = -1;
        await foreach (var read in Records(path, options, _ => true, cancellationToken).MapInOrderAsync(Read, cancellationToken))
        {
            record++;
            if (!places.TryAdd(read.Key, (read.Where.Number, read.Text)))
            {
                var (first, text) = places[read.Key];
                if (options.Duplicates == DuplicateProblems.Error || text != read.Text)
                {
                    throw Repeated(
                        read.Where,
                        read.HasId ? read.Problem.Id : null,
                        read.Where with
                        {
                            Number = first,
                        },
                        isSame: text == read.Text
                    );
                }

                if (counts is not null)
                {
                    counts.Skipped++;
                }

                continue;
            }

            if (counts is not null)
            {
                counts.Problems++;
                counts.Unanswered += read.Problem.Answer.Length == 0 ? 1 : 0;
            }

            yield return (record, read.Problem);
        }

        if (places.Count == 0)
        {
            throw new InvalidInputException($"{path}: the file holds no problems");
        }

        (RowPlace Where, Problem Problem, bool HasId, TraceKey Key, ulong Text) Read((RowPlace Where, byte[] Json) row)
        {
            using var document = JsonRecords.Parse(row.Where, row.Json);
            var fields = new ProblemRecord(row.Where, document.RootElement);
            var problem = forms.Read(fields);
            Span<byte> hash = stackalloc byte[TraceKey.Size];
            XxHash128.Hash(MemoryMarshal.AsBytes(problem.Id.AsSpan()), hash);
            return (
                row.Where,
                problem,
                ProblemForms.HasId(fields),
                TraceKey.Read(hash),
                XxHash64.HashToUInt64(MemoryMarshal.AsBytes(problem.Text.AsSpan()))
            );
        }
    }

    /// <summary>Reads some problems of a file that <see cref="ReadWithPlacesAsync"/> has found to be sound, in their order.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">As before.</param>
    /// <param name="isWanted">Which records, counted from 0; asked of each in order.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The file has changed so that it cannot be read.</exception>
    public static IAsyncEnumerable<Problem> ReadSomeAsync(
        string path,
        ProblemReaderOptions options,
        Predicate<int> isWanted,
        CancellationToken cancellationToken = default
    )
    {
        var forms = new ProblemForms(options, ProblemFormats.NameOf(path), FolderOf(path));
        return Records(path, options, isWanted, cancellationToken)
            .Select(row =>
            {
                using var document = JsonRecords.Parse(row.Where, row.Json);
                return forms.Read(new ProblemRecord(row.Where, document.RootElement));
            });
    }

    /// <summary>A problem file's name without folder and extensions.</summary>
    public static string NameOf(string path) => ProblemFormats.NameOf(Path.GetFileName(path));

    /// <summary>The records of a file, of whatever they are; of Parquet with those of some columns that there are.</summary>
    /// <exception cref="InvalidInputException">The file is absent, of an unknown format or unreadable.</exception>
    internal static IAsyncEnumerable<(RowPlace Where, byte[] Json)> RecordsAsync(
        string path,
        IReadOnlyList<string> columns,
        CancellationToken cancellationToken
    ) =>
        FormatOf(path) is var format && format == ProblemFormat.Parquet
            ? ParquetProblems.ReadColumnsAsync(path, columns, cancellationToken)
            : JsonRecords.ReadAsync(path, format, _ => true, cancellationToken);

    static string FolderOf(string path) => Path.GetDirectoryName(Path.GetFullPath(path))!;

    static IAsyncEnumerable<(RowPlace Where, byte[] Json)> Records(
        string path,
        ProblemReaderOptions options,
        Predicate<int> isWanted,
        CancellationToken cancellationToken
    ) =>
        FormatOf(path) is var format && format == ProblemFormat.Parquet
            ? ParquetProblems.ReadAsync(path, options, isWanted, cancellationToken)
            : JsonRecords.ReadAsync(path, format, isWanted, cancellationToken);

    static ProblemFormat FormatOf(string path)
    {
        if (Directory.Exists(path))
        {
            throw new InvalidInputException($"{path}: is a folder; name a .jsonl or .parquet file in it{Examples(path)}");
        }
        InputFile.EnsureReadable(path);
        return ProblemFormats.Of(path);
    }

    static string Examples(string folder)
    {
        var files = Directory
            .EnumerateFiles(folder)
            .Where(file => ProblemFormats.Find(file) is not null)
            .Select(Path.GetFileName)
            .Order(StringComparer.Ordinal)
            .Take(3)
            .ToList();
        return files.Count > 0 ? $", such as {string.Join(" or ", files)}" : "";
    }

    static InvalidInputException Repeated(RowPlace where, string? id, RowPlace first, bool isSame) =>
        new(
            (id, isSame) switch
            {
                (null, _) => $"{where}: repeats the problem of {first.WithinFile}; remove one, "
                    + "give each an 'id', or pass such over with duplicates: skip",
                (_, true) => $"{where}: field 'id' repeats '{id}' of {first.WithinFile}, "
                    + "with the same problem; remove one, or pass such over with duplicates: skip",
                _ => $"{where}: field 'id' repeats '{id}' of {first.WithinFile}; ids must be unique",
            }
        );
}
