using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Parquet;
using Parquet.Schema;
using TraceDistill.Data.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Parquet;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems.Files;

/// <summary>
/// Problem records in Parquet, one row group in memory at a time. A row is read as the JSON object that it stands for, so that its
/// columns mean what fields of the same names do: text, numbers, lists of texts, conversations, and structures of such values.
/// </summary>
static class ParquetProblems
{
    const int RowsPerGroup = 20_000;

    static readonly DataField Id = new("id", typeof(string), isNullable: false);
    static readonly DataField Text = new("problem", typeof(string), isNullable: false);
    static readonly DataField Answer = new("answer", typeof(string), isNullable: false);
    static readonly DataField Solution = new("solution", typeof(string), isNullable: true);
    static readonly DataField Family = new("family", typeof(string), isNullable: false);

    /// <summary>Columns that are there where a problem of the first rows has such a value.</summary>
    static readonly (DataField Field, string Name, Func<Problem, string?> Value)[] Optional =
    [
        (new(ProblemForms.PictureField, typeof(string), isNullable: true), "a picture", problem => problem.Picture),
        (new(ProblemForms.SpansField, typeof(string), isNullable: true), ProblemForms.SpansField, problem =>
            problem.Spans.Count == 0 ? null : JsonSerializer.Serialize(problem.Spans, JsonFile.Line)
        ),
    ];

    /// <summary>Writes one row's value of a column as JSON; nothing where it has none.</summary>
    delegate void CellWriter(Utf8JsonWriter json, int row);

    /// <param name="path">The file.</param>
    /// <param name="options">Columns that the user has named.</param>
    /// <param name="isWanted">Which rows, counted from 0, are put together.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static IAsyncEnumerable<(RowPlace Where, byte[] Json)> ReadAsync(
        string path,
        ProblemReaderOptions options,
        Predicate<int> isWanted,
        CancellationToken cancellationToken
    ) => ReadAsync(path, schema => Columns(path, schema, options), isWanted, cancellationToken);

    /// <summary>Reads those of some columns that there are.</summary>
    /// <param name="path">The file.</param>
    /// <param name="columns">Names, or paths whose first part is a column's name.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static IAsyncEnumerable<(RowPlace Where, byte[] Json)> ReadColumnsAsync(
        string path,
        IReadOnlyList<string> columns,
        CancellationToken cancellationToken
    ) =>
        ReadAsync(
            path,
            schema => [.. schema.Fields.Where(field => columns.Any(name => IsNamed(field.Name, name)))],
            _ => true,
            cancellationToken
        );

    static async IAsyncEnumerable<(RowPlace Where, byte[] Json)> ReadAsync(
        string path,
        Func<ParquetSchema, Field[]> columns,
        Predicate<int> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        await using var stream = File.OpenRead(path);
        await using var reader = await OpenAsync(path, stream, cancellationToken);
        var fields = columns(reader.Schema);
        var number = 0;
        for (var group = 0; group < reader.RowGroupCount; group++)
        {
            var (rows, cells) = await ReadGroupAsync(path, reader, group, fields, cancellationToken);
            for (var row = 0; row < rows; row++)
            {
                if (isWanted(number++))
                {
                    yield return (new RowPlace(path, "row", number), Json(cells, row));
                }
            }
        }
    }

    /// <summary>
    /// Writes problems; where the first of them are conversations of several turns, all stand as such, and where they have pictures or
    /// spans there is a column of the pictures' paths, or of the spans as JSON.
    /// </summary>
    public static async Task WriteAsync(Stream stream, IAsyncEnumerable<Problem> problems, CancellationToken cancellationToken)
    {
        var options = new ParquetOptions { CompressionMethod = CompressionMethod.Zstd };
        var (writer, conversations, optional) = (default(ParquetWriter), default(MessagesBuffer), new HashSet<DataField>());
        try
        {
            await foreach (var chunk in problems.Chunk(RowsPerGroup).WithCancellation(cancellationToken))
            {
                if (writer is null)
                {
                    conversations = chunk.Any(problem => problem.Earlier.Count > 0) ? new MessagesBuffer(ShardColumns.Messages) : null;
                    optional.UnionWith(
                        Optional.Where(column => chunk.Any(problem => column.Value(problem) is not null)).Select(column => column.Field)
                    );
                    writer = await ParquetWriter.CreateAsync(
                        new ParquetSchema([
                            Id,
                            conversations?.Field ?? Text,
                            Answer,
                            Solution,
                            Family,
                            .. Optional.Select(column => column.Field).Where(optional.Contains),
                        ]),
                        stream,
                        options,
                        cancellationToken: cancellationToken
                    );
                }

                await WriteGroupAsync(writer, conversations, optional, chunk, cancellationToken);
            }

            writer ??= await ParquetWriter.CreateAsync(
                new ParquetSchema(Id, Text, Answer, Solution, Family),
                stream,
                options,
                cancellationToken: cancellationToken
            );
        }
        finally
        {
            await (writer?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
    }

    static async Task WriteGroupAsync(
        ParquetWriter writer,
        MessagesBuffer? conversations,
        HashSet<DataField> optional,
        Problem[] chunk,
        CancellationToken cancellationToken
    )
    {
        using var group = writer.CreateRowGroup();
        await group.WriteAsync(Id, [.. chunk.Select(problem => problem.Id)]);
        if (conversations is null)
        {
            if (Array.Find(chunk, problem => problem.Earlier.Count > 0) is { } odd)
            {
                throw new InvalidInputException(
                    $"problem {odd.Id} is a conversation of several turns, and the first {RowsPerGroup:N0} are not; write them as .jsonl"
                );
            }

            await group.WriteAsync(Text, [.. chunk.Select(problem => problem.Text)]);
        }
        else
        {
            foreach (var problem in chunk)
            {
                conversations.Append(problem.Conversation());
            }

            await conversations.FlushAsync(group, cancellationToken);
        }

        await group.WriteAsync(Answer, [.. chunk.Select(problem => problem.Answer)]);
        await group.WriteAsync(Solution, [.. chunk.Select(problem => problem.Solution!)]);
        await group.WriteAsync(Family, [.. chunk.Select(problem => problem.Family)]);
        foreach (var (field, name, value) in Optional)
        {
            if (optional.Contains(field))
            {
                await group.WriteAsync(field, [.. chunk.Select(problem => value(problem)!)]);
            }
            else if (Array.Find(chunk, problem => value(problem) is not null) is { } later)
            {
                throw new InvalidInputException(
                    $"problem {later.Id} has {name}, and none of the first {RowsPerGroup:N0} has; write them as .jsonl"
                );
            }
        }

        group.CompleteValidate();
    }

    /// <summary>
    /// The columns that may matter: those named, or those of the usual names. Conversations are read only where no text holds the question.
    /// </summary>
    static Field[] Columns(string path, ParquetSchema schema, ProblemReaderOptions options)
    {
        string[] named = [.. options.ProblemField.Append(options.AnswerField).Append(options.SolutionField).OfType<string>()];
        var hasText =
            options.ProblemField.Count > 0
            || schema.Fields.Any(field => field is DataField && IsOneOf(field.Name, ProblemForms.TextFields));
        string[] usual =
        [
            .. options.ProblemField.Count > 0 ? []
            : hasText ? ProblemForms.TextFields
            : ProblemForms.ConversationFields,
        ];
        if (!hasText && !schema.Fields.Any(field => IsOneOf(field.Name, usual)))
        {
            throw new InvalidInputException(
                $"{path}: none of the columns that usually hold a problem is there; "
                    + $"it has {string.Join(", ", schema.Fields.Select(field => field.Name))}; say which it is with problem_field"
            );
        }

        if (named.FirstOrDefault(name => !schema.Fields.Any(field => IsNamed(field.Name, name))) is { } missing)
        {
            throw new InvalidInputException(
                $"{path}: has no column '{missing}'; it has {string.Join(", ", schema.Fields.Select(field => field.Name))}"
            );
        }

        return
        [
            .. schema.Fields.Where(field =>
                named.Any(name => IsNamed(field.Name, name)) || IsOneOf(field.Name, usual) || IsOneOf(field.Name, ProblemForms.OtherFields)
            ),
        ];
    }

    static bool IsNamed(string column, string name) => name == column || name.StartsWith(column + ".", StringComparison.Ordinal);

    static bool IsOneOf(string column, string[] names) =>
        names.Any(name => string.Equals(name.Split('.')[0], column, StringComparison.OrdinalIgnoreCase));

    static byte[] Json(List<(string Name, CellWriter Write)> columns, int row)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            foreach (var (_, write) in columns)
            {
                write(json, row);
            }

            json.WriteEndObject();
        }

        return buffer.ToArray();
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

    static async Task<(int Rows, List<(string Name, CellWriter Write)> Columns)> ReadGroupAsync(
        string path,
        ParquetReader reader,
        int index,
        Field[] fields,
        CancellationToken cancellationToken
    )
    {
        try
        {
            using var group = reader.OpenRowGroupReader(index);
            var nested = new ColumnReader(path, reader.Schema, reader.RowGroups[index]);
            var columns = new List<(string, CellWriter)>();
            foreach (var field in fields)
            {
                columns.Add((field.Name, await ReadColumnAsync(path, group, nested, field, cancellationToken)));
            }

            return (checked((int)group.RowCount), columns);
        }
        catch (Exception error) when (error is not (OperationCanceledException or InvalidInputException))
        {
            throw Unreadable(path, error);
        }
    }

    static async Task<CellWriter> ReadColumnAsync(
        string path,
        ParquetRowGroupReader group,
        ColumnReader nested,
        Field field,
        CancellationToken cancellationToken
    )
    {
        switch (field)
        {
            case DataField { IsArray: false } data:
                return await ReadValuesAsync(path, group, data, cancellationToken);
            case ListField { Item: StructField turn }:
                return await ReadConversationsAsync(path, nested, field.Name, turn, cancellationToken);
            case ListField { Item: DataField item } when IsText(item):
                var lists = await nested.ListsAsync<ReadOnlyMemory<char>>(field.Name, cancellationToken);
                return (json, row) =>
                {
                    if (lists[row] is { } texts)
                    {
                        json.WriteStartArray(field.Name);
                        foreach (var text in texts.Span)
                        {
                            json.WriteStringValue(text.Span);
                        }

                        json.WriteEndArray();
                    }
                };
            case StructField structure:
                var members = new List<CellWriter>();
                foreach (var member in structure.Fields.OfType<DataField>().Where(member => !member.IsArray && IsKnown(member)))
                {
                    members.Add(await ReadValuesAsync(path, group, member, cancellationToken));
                }

                return (json, row) =>
                {
                    json.WriteStartObject(field.Name);
                    members.ForEach(write => write(json, row));
                    json.WriteEndObject();
                };
            default:
                throw WrongType(path, field);
        }
    }

    static async Task<CellWriter> ReadConversationsAsync(
        string path,
        ColumnReader nested,
        string name,
        StructField turn,
        CancellationToken cancellationToken
    )
    {
        string Member(string usual, string other) =>
            turn.Fields.FirstOrDefault(field => field.Name == usual || field.Name == other)?.Name
            ?? throw new InvalidInputException(
                $"{path}: column '{name}' has turns without {usual}; they have {string.Join(", ", turn.Fields.Select(field => field.Name))}"
            );
        var roles = await nested.StructTextsAsync(name, Member("role", "from"), cancellationToken);
        var contents = await nested.StructTextsAsync(name, Member("content", "value"), cancellationToken);
        return (json, row) =>
        {
            if (roles[row] is not { } role || contents[row] is not { } content)
            {
                return;
            }

            json.WriteStartArray(name);
            for (var i = 0; i < Math.Min(role.Length, content.Length); i++)
            {
                json.WriteStartObject();
                json.WriteString("role", role.Span[i].Span);
                json.WriteString("content", content.Span[i].Span);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        };
    }

    static async Task<CellWriter> ReadValuesAsync(
        string path,
        ParquetRowGroupReader group,
        DataField field,
        CancellationToken cancellationToken
    )
    {
        var type = field.ClrType;
        if (IsText(field))
        {
            var values = new string?[group.RowCount];
            await group.ReadAsync(field, values.AsMemory()!, cancellationToken: cancellationToken);
            return (json, row) =>
            {
                if (values[row] is { } text)
                {
                    json.WriteString(field.Name, text);
                }
            };
        }

        return type == typeof(int) ? await ReadNumbersAsync<int>(group, field, cancellationToken)
            : type == typeof(long) ? await ReadNumbersAsync<long>(group, field, cancellationToken)
            : type == typeof(double) ? await ReadNumbersAsync<double>(group, field, cancellationToken)
            : type == typeof(float) ? await ReadNumbersAsync<float>(group, field, cancellationToken)
            : type == typeof(bool) ? await ReadBooleansAsync(group, field, cancellationToken)
            : throw WrongType(path, field);
    }

    static async Task<CellWriter> ReadNumbersAsync<T>(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
        where T : struct, IFormattable
    {
        var values = await ReadNullableAsync<T>(group, field, cancellationToken);
        return (json, row) =>
        {
            // pandas writes a number that is missing as NaN.
            if (
                values[row]?.ToString(null, CultureInfo.InvariantCulture) is { } number
                && double.IsFinite(double.Parse(number, CultureInfo.InvariantCulture))
            )
            {
                json.WritePropertyName(field.Name);
                json.WriteRawValue(number, skipInputValidation: true);
            }
        };
    }

    static async Task<CellWriter> ReadBooleansAsync(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
    {
        var values = await ReadNullableAsync<bool>(group, field, cancellationToken);
        return (json, row) =>
        {
            if (values[row] is { } value)
            {
                json.WriteBoolean(field.Name, value);
            }
        };
    }

    static async Task<T?[]> ReadNullableAsync<T>(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
        where T : struct
    {
        var nullable = new T?[group.RowCount];
        if (field.IsNullable)
        {
            await group.ReadAsync(field, nullable.AsMemory(), cancellationToken: cancellationToken);
            return nullable;
        }

        var values = new T[group.RowCount];
        await group.ReadAsync(field, values.AsMemory(), cancellationToken: cancellationToken);
        return Array.ConvertAll(values, value => (T?)value);
    }

    static bool IsText(DataField field) => field.ClrType == typeof(string) || field.ClrType == typeof(ReadOnlyMemory<char>);

    static bool IsKnown(DataField field) =>
        IsText(field)
        || field.ClrType == typeof(int)
        || field.ClrType == typeof(long)
        || field.ClrType == typeof(double)
        || field.ClrType == typeof(float)
        || field.ClrType == typeof(bool);

    static InvalidInputException WrongType(string path, Field field) =>
        new(
            $"{path}: column '{field.Name}' has type "
                + $"{(field is DataField data ? data.ClrType.Name : field.SchemaType.ToString().ToLowerInvariant())} where text is expected"
        );

    static InvalidInputException Unreadable(string path, Exception error) =>
        new($"{path}: not a whole, readable Parquet file ({error.Message.Split('\n')[0].Trim()})", error);
}
