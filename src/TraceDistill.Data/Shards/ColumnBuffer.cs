using System.Buffers;
using System.Runtime.CompilerServices;
using Parquet;
using Parquet.Schema;
using TraceDistill.Data.Shards.Parquet;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Shards;

/// <summary>The values of one column that wait for the next row group.</summary>
abstract class ColumnBuffer
{
    /// <summary>Place of the column in the schema.</summary>
    public abstract Field Field { get; }

    /// <summary>Takes the column's part of a trace.</summary>
    /// <returns>Bytes of memory that the part holds until it is written.</returns>
    public abstract long Append(Trace trace);

    /// <summary>Writes the column to the row group and empties the buffer.</summary>
    public abstract Task FlushAsync(ParquetRowGroupWriter rowGroup, CancellationToken cancellationToken);
}

/// <summary>One value a row, never null.</summary>
sealed class ScalarBuffer<T>(DataField column, Func<Trace, T> select) : ColumnBuffer
    where T : struct
{
    readonly ArrayBufferWriter<T> _values = new();

    public override Field Field => column;

    public override long Append(Trace trace)
    {
        var value = select(trace);
        _values.Write([value]);
        return value is ReadOnlyMemory<char> text ? text.Length * sizeof(char) : Unsafe.SizeOf<T>();
    }

    public override async Task FlushAsync(ParquetRowGroupWriter rowGroup, CancellationToken cancellationToken)
    {
        await rowGroup.WriteAsync(column, _values.WrittenMemory, cancellationToken: cancellationToken);
        _values.Clear(); // clears the references too, so that written text can be collected
    }
}

/// <summary>One byte string a row, or null.</summary>
sealed class BinaryBuffer(string name, Func<Trace, byte[]?> select) : ColumnBuffer
{
    readonly DataField _field = new(name, typeof(byte[]), isNullable: true);
    readonly ArrayBufferWriter<ReadOnlyMemory<byte>?> _values = new();

    public override Field Field => _field;

    public override long Append(Trace trace)
    {
        var value = select(trace);
        _values.Write([value is null ? default(ReadOnlyMemory<byte>?) : value.AsMemory()]);
        return value?.Length ?? 0;
    }

    public override async Task FlushAsync(ParquetRowGroupWriter rowGroup, CancellationToken cancellationToken)
    {
        await rowGroup.WriteAsync(_field, _values.WrittenMemory, cancellationToken: cancellationToken);
        _values.Clear();
    }
}

/// <summary>One text a row, or null.</summary>
sealed class OptionalTextBuffer(string name, Func<Trace, string?> select) : ColumnBuffer
{
    readonly DataField _field = new(name, typeof(string), isNullable: true);
    readonly ArrayBufferWriter<ReadOnlyMemory<char>?> _values = new();

    public override Field Field => _field;

    public override long Append(Trace trace)
    {
        var value = select(trace);
        _values.Write([value is null ? default(ReadOnlyMemory<char>?) : value.AsMemory()]);
        return (value?.Length ?? 0) * sizeof(char);
    }

    public override async Task FlushAsync(ParquetRowGroupWriter rowGroup, CancellationToken cancellationToken)
    {
        await rowGroup.WriteAsync(_field, _values.WrittenMemory, cancellationToken: cancellationToken);
        _values.Clear();
    }
}

/// <summary>A list of numbers a row, or null.</summary>
sealed class ListBuffer<T>(string name, Func<Trace, T[]?> select) : ColumnBuffer
    where T : struct
{
    readonly ListField _list = new(name, new DataField(ListField.ElementName, typeof(T), isNullable: false));
    readonly ArrayBufferWriter<T> _values = new();
    readonly LevelBuffer _levels = new(maxDefinition: 2);

    public override Field Field => _list;

    public override long Append(Trace trace)
    {
        var values = select(trace);
        _levels.Append(values?.Length);
        _values.Write(values ?? []);
        return (values?.Length ?? 0) * (long)(Unsafe.SizeOf<T>() + LevelBuffer.BytesPerElement);
    }

    public override async Task FlushAsync(ParquetRowGroupWriter rowGroup, CancellationToken cancellationToken)
    {
        await rowGroup.WriteAllPartsAsync(
            (DataField)_list.Item,
            _values.WrittenMemory,
            _levels.Definition,
            _levels.Repetition,
            cancellationToken
        );
        _values.ResetWrittenCount();
        _levels.Clear();
    }
}

/// <summary>The conversation: a list of {role, content} a row. That of a trace ends with its <see cref="FinalTurn"/>.</summary>
sealed class MessagesBuffer : ColumnBuffer
{
    readonly ListField _list;
    readonly DataField _role = new(ShardColumns.Role, typeof(string), isNullable: false);
    readonly DataField _content = new(ShardColumns.Content, typeof(string), isNullable: false);
    readonly ArrayBufferWriter<ReadOnlyMemory<char>> _roles = new();
    readonly ArrayBufferWriter<ReadOnlyMemory<char>> _contents = new();
    readonly LevelBuffer _levels = new(maxDefinition: 3); // the list, its repeated group and the struct are each one level

    public MessagesBuffer(string name) => _list = new ListField(name, new StructField(ListField.ElementName, _role, _content));

    public override Field Field => _list;

    public override long Append(Trace trace) => Append([.. trace.Messages, FinalTurn.Of(trace)]);

    /// <summary>Takes any conversation.</summary>
    /// <returns>Bytes of memory that it holds until it is written.</returns>
    public long Append(IReadOnlyList<ChatMessage> messages)
    {
        long bytes = 0;
        _levels.Append(messages.Count);
        foreach (var message in messages)
        {
            _roles.Write([message.Role.AsMemory()]);
            _contents.Write([message.Content.AsMemory()]);
            bytes += (message.Role.Length + message.Content.Length) * sizeof(char);
        }

        return bytes;
    }

    public override async Task FlushAsync(ParquetRowGroupWriter rowGroup, CancellationToken cancellationToken)
    {
        await rowGroup.WriteAllPartsAsync(_role, _roles.WrittenMemory, _levels.Definition, _levels.Repetition, cancellationToken);
        await rowGroup.WriteAllPartsAsync(_content, _contents.WrittenMemory, _levels.Definition, _levels.Repetition, cancellationToken);
        _roles.Clear();
        _contents.Clear();
        _levels.Clear();
    }
}
