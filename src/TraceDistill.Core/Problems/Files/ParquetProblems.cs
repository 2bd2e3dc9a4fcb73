using System.Globalization;
using System.Runtime.CompilerServices;
using Parquet;
using Parquet.Schema;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage.Thrift;

namespace TraceDistill.Core.Problems.Files;

/// <summary>Problem records in Parquet: text columns named as the JSON fields are, one row group in memory at a time.</summary>
static class ParquetProblems
{
    const int RowsPerGroup = 20_000;

    static readonly DataField Id = new("id", typeof(string), isNullable: false);
    static readonly DataField Text = new("problem", typeof(string), isNullable: false);
    static readonly DataField Answer = new("answer", typeof(string), isNullable: false);
    static readonly DataField Solution = new("solution", typeof(string), isNullable: true);
    static readonly DataField Family = new("family", typeof(string), isNullable: false);

    /// <param name="path">The file.</param>
    /// <param name="isWanted">Which rows, counted from 0, are put together.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static async IAsyncEnumerable<ProblemRow> ReadAsync(string path, Predicate<int> isWanted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var stream = File.OpenRead(path);
        await using var reader = await OpenAsync(path, stream, cancellationToken);
        var fields = reader.Schema.Fields.OfType<DataField>().Where(field => ProblemRow.FieldNames.Contains(field.Name)).ToArray();
        var number = 0;
        for (var group = 0; group < reader.RowGroupCount; group++)
        {
            var (rows, columns) = await ReadGroupAsync(path, reader, group, fields, cancellationToken);
            for (var row = 0; row < rows; row++)
            {
                if (!isWanted(number++))
                    continue;

                var values = new Dictionary<string, string>();
                foreach (var (name, column) in columns)
                {
                    if (column[row] is { } value)
                        values[name] = value;
                }

                yield return new ProblemRow(new RowPlace(path, "row", number), values);
            }
        }
    }

    public static async Task WriteAsync(Stream stream, IAsyncEnumerable<Problem> problems, CancellationToken cancellationToken)
    {
        var options = new ParquetOptions { CompressionMethod = CompressionMethod.Zstd };
        await using var writer = await ParquetWriter.CreateAsync(
            new ParquetSchema(Id, Text, Answer, Solution, Family), stream, options, cancellationToken: cancellationToken);
        await foreach (var chunk in problems.Chunk(RowsPerGroup).WithCancellation(cancellationToken))
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync(Id, [.. chunk.Select(problem => problem.Id)]);
            await group.WriteAsync(Text, [.. chunk.Select(problem => problem.Text)]);
            await group.WriteAsync(Answer, [.. chunk.Select(problem => problem.Answer)]);
            await group.WriteAsync(Solution, [.. chunk.Select(problem => problem.Solution!)]);
            await group.WriteAsync(Family, [.. chunk.Select(problem => problem.Family)]);
            group.CompleteValidate();
        }
    }

    static async Task<ParquetReader> OpenAsync(string path, FileStream stream, CancellationToken cancellationToken)
    {
        try
        {
            return await ParquetFile.OpenAsync(stream, cancellationToken);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw Unreadable(path, error);
        }
    }

    static async Task<(int Rows, Dictionary<string, string?[]> Columns)> ReadGroupAsync(
        string path, ParquetReader reader, int index, DataField[] fields, CancellationToken cancellationToken)
    {
        try
        {
            using var group = reader.OpenRowGroupReader(index);
            var columns = new Dictionary<string, string?[]>();
            foreach (var field in fields)
                columns[field.Name] = await ReadColumnAsync(path, group, field, cancellationToken);
            return (checked((int)group.RowCount), columns);
        }
        catch (Exception error) when (error is not (OperationCanceledException or InvalidInputException))
        {
            throw Unreadable(path, error);
        }
    }

    static async Task<string?[]> ReadColumnAsync(string path, ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
    {
        var type = field.ClrType;
        if ((type == typeof(string) || type == typeof(ReadOnlyMemory<char>)) && !field.IsArray)
        {
            var values = new string?[group.RowCount];
            await group.ReadAsync(field, values.AsMemory()!, cancellationToken: cancellationToken);
            return values;
        }

        if (ProblemRow.MayBeNumber(field.Name) && !field.IsArray)
        {
            if (type == typeof(int))
                return await ReadNumbersAsync<int>(group, field, cancellationToken);
            if (type == typeof(long))
                return await ReadNumbersAsync<long>(group, field, cancellationToken);
            if (type == typeof(double))
                return await ReadNumbersAsync<double>(group, field, cancellationToken);
        }

        throw new InvalidInputException($"{path}: column '{field.Name}' has type {type.Name} where text is expected");
    }

    static async Task<string?[]> ReadNumbersAsync<T>(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
        where T : struct, IFormattable
    {
        if (!field.IsNullable)
        {
            var values = new T[group.RowCount];
            await group.ReadAsync(field, values.AsMemory(), cancellationToken: cancellationToken);
            return [.. values.Select(value => value.ToString(null, CultureInfo.InvariantCulture))];
        }

        var nullable = new T?[group.RowCount];
        await group.ReadAsync(field, nullable.AsMemory(), cancellationToken: cancellationToken);
        return [.. nullable.Select(value => value?.ToString(null, CultureInfo.InvariantCulture))];
    }

    static InvalidInputException Unreadable(string path, Exception error) =>
        new($"{path}: not a whole, readable Parquet file ({error.Message.Split('\n')[0].Trim()})", error);
}
