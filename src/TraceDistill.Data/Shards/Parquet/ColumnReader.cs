using Parquet;
using Parquet.Schema;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Shards.Parquet;

/// <summary>
/// Reads columns of one row group, whatever nullability another program may have given them. Everything that is wrong with a column becomes
/// an <see cref="InvalidInputException"/> that names file and column. Without a row group it only checks that columns are there.
/// </summary>
sealed class ColumnReader(string file, ParquetSchema schema, ParquetRowGroupReader? rowGroup)
{
    // What damaged metadata may have memory set aside for. Equal values take next to nothing,
    // but a row group is no longer than memory was when it was written.
    const long MostValues = 1 << 20;
    const long MostValuesPerByte = 1 << 10;

    public string File => file;

    /// <summary>One value a row.</summary>
    public async Task<T[]> ScalarsAsync<T>(string name, CancellationToken cancellationToken)
        where T : struct
    {
        var (values, _, _) = await RawAsync<T>(Field<T>(Top(name), name), name, mayMiss: false, cancellationToken);
        return values;
    }

    /// <summary>One text a row.</summary>
    public async Task<string[]> TextsAsync(string name, CancellationToken cancellationToken) =>
        Array.ConvertAll(await ScalarsAsync<ReadOnlyMemory<char>>(name, cancellationToken), text => new string(text.Span));

    /// <summary>One text a row; null where it has none, or where the column is not there: it is younger than the others.</summary>
    public async Task<string?[]?> OptionalTextsAsync(string name, CancellationToken cancellationToken)
    {
        if (schema.Fields.All(field => field.Name != name))
        {
            return null;
        }

        var field = Field<ReadOnlyMemory<char>>(Top(name), name);
        var (values, definition, _) = await RawAsync<ReadOnlyMemory<char>>(field, name, mayMiss: true, cancellationToken);
        var next = 0;
        return definition.Length == 0
            ? Array.ConvertAll(values, value => (string?)value.ToString())
            : Array.ConvertAll(definition, level => level == field.MaxDefinitionLevel ? values[next++].ToString() : null);
    }

    /// <summary>One byte string a row; null where it has none.</summary>
    public async Task<byte[]?[]> BinariesAsync(string name, CancellationToken cancellationToken)
    {
        var field = Field<ReadOnlyMemory<byte>>(Top(name), name);
        var (values, definition, _) = await RawAsync<ReadOnlyMemory<byte>>(field, name, mayMiss: true, cancellationToken);
        var next = 0;
        return definition.Length == 0
            ? Array.ConvertAll(values, value => (byte[]?)value.ToArray())
            : Array.ConvertAll(definition, level => level == field.MaxDefinitionLevel ? values[next++].ToArray() : null);
    }

    /// <summary>A list of numbers a row.</summary>
    public async Task<ListColumn<T>> ListsAsync<T>(string name, CancellationToken cancellationToken)
        where T : struct
    {
        var list = List(name);
        return await ListAsync<T>(list, Field<T>(list.Item, name), name, cancellationToken);
    }

    /// <summary>A list of structs a row: one field of theirs.</summary>
    public async Task<ListColumn<ReadOnlyMemory<char>>> StructTextsAsync(string name, string member, CancellationToken cancellationToken)
    {
        var list = List(name);
        var item = (list.Item as StructField)?.Fields.FirstOrDefault(field => field.Name == member);
        var label = $"{name}.{member}";
        return await ListAsync<ReadOnlyMemory<char>>(
            list,
            Field<ReadOnlyMemory<char>>(item ?? throw Missing(label), label),
            label,
            cancellationToken
        );
    }

    async Task<ListColumn<T>> ListAsync<T>(ListField list, DataField field, string name, CancellationToken cancellationToken)
        where T : struct
    {
        var (values, definition, repetition) = await RawAsync<T>(field, name, mayMiss: true, cancellationToken);
        var lists = ListColumn<T>.Create(values, definition, repetition, field.MaxDefinitionLevel, list.IsNullable)
            ?? throw new InvalidInputException($"{file}: column {name} has missing elements within a list");
        CheckRows(lists.Rows, name);
        return lists;
    }

    async Task<(T[] Values, int[] Definition, int[] Repetition)> RawAsync<T>(
        DataField field,
        string name,
        bool mayMiss,
        CancellationToken cancellationToken
    )
        where T : struct
    {
        if (rowGroup is null)
        {
            return ([], [], []);
        }

        try
        {
            var chunk = rowGroup.GetMetadata(field)!.MetaData!;
            var count = checked((int)chunk.NumValues);
            if (count > MostValues + (MostValuesPerByte * chunk.TotalCompressedSize))
            {
                throw new InvalidDataException($"{count} values cannot be in {chunk.TotalCompressedSize} bytes");
            }

            var values = new T[count];
            int[]? definition = field.MaxDefinitionLevel > 0 ? new int[count] : null;
            int[]? repetition = field.MaxRepetitionLevel > 0 ? new int[count] : null;
            await rowGroup.ReadRawAsync<T>(field, values, Buffer(definition), Buffer(repetition), cancellationToken);
            if (repetition is null)
            {
                CheckRows(count, name);
            }
            if (!mayMiss && definition.AsSpan().ContainsAnyExcept(field.MaxDefinitionLevel))
            {
                throw new InvalidInputException($"{file}: column {name} has missing values");
            }

            return (values, definition ?? [], repetition ?? []);
        }
        catch (Exception error) when (error is not (OperationCanceledException or InvalidInputException))
        {
            throw new InvalidInputException(
                $"{file}: column {name} cannot be read ({error.Message.Split('\n')[0].TrimEnd('.')}); "
                    + "the shard is damaged, restore it or collect again",
                error
            );
        }
    }

    // A null array converts to an empty Memory, not to none.
    static Memory<int>? Buffer(int[]? levels) => levels is null ? default(Memory<int>?) : levels.AsMemory();

    void CheckRows(int rows, string name)
    {
        if (rowGroup is not null && rows != rowGroup.RowCount)
        {
            throw new InvalidInputException(
                $"{file}: column {name} has {rows} rows of {rowGroup.RowCount}; the shard is damaged, restore it or collect again"
            );
        }
    }

    Field Top(string name) => schema.Fields.FirstOrDefault(field => field.Name == name) ?? throw Missing(name);

    ListField List(string name) => Top(name) as ListField ?? throw WrongType(name, "a list");

    DataField Field<T>(Field field, string name) =>
        field is DataField { IsArray: false } data && data.ClrType == typeof(T) ? data : throw WrongType(name, TypeName<T>());

    InvalidInputException Missing(string name) => new($"{file}: has no column {name}; it is not a trace shard of this program");

    InvalidInputException WrongType(string name, string wanted) =>
        new($"{file}: column {name} is not {wanted}; it is not a trace shard of this program");

    static string TypeName<T>() =>
        typeof(T) switch
        {
            var type when type == typeof(ReadOnlyMemory<char>) => "text (string)",
            var type when type == typeof(ReadOnlyMemory<byte>) => "binary",
            var type when type == typeof(DateTime) => "a timestamp",
            var type when type == typeof(int) => "int32",
            var type when type == typeof(long) => "int64",
            var type when type == typeof(float) => "float",
            _ => "double",
        };
}
