using System.IO.Compression;
using System.Security.Cryptography;
using Parquet;
using Parquet.Schema;
using TraceDistill.Data.Traces;

namespace TraceDistill.Data.Shards;

/// <summary>Writes one shard under a temporary name, row group by row group.</summary>
sealed class ParquetTraceWriter
{
    readonly FileStream _stream;
    readonly ParquetWriter _parquet;
    readonly IReadOnlyList<ColumnBuffer> _columns;
    long _bufferedBytes;
    long _bufferedRows;

    ParquetTraceWriter(FileStream stream, ParquetWriter parquet, IReadOnlyList<ColumnBuffer> columns)
    {
        _stream = stream;
        _parquet = parquet;
        _columns = columns;
    }

    public string Path => _stream.Name;

    public long Rows { get; private set; }

    public long Tokens { get; private set; }

    /// <summary>Bytes that have reached the file.</summary>
    public long BytesWritten => _stream.Position;

    public static async Task<ParquetTraceWriter> CreateAsync(string path, ShardMetadata metadata, CancellationToken cancellationToken)
    {
        var columns = ShardColumns.Create(metadata.Layout);
        var options = new ParquetOptions { CompressionMethod = CompressionMethod.Zstd, CompressionLevel = CompressionLevel.Optimal };
        // Sign and exponent of logprobs repeat, the rest is noise: kept apart by byte, they compress by a tenth more.
        foreach (var column in columns.OfType<ListBuffer<float>>())
        {
            options.ColumnEncodingHints[((ListField)column.Field).Item.Path.ToString()] = EncodingHint.ByteSplitStream;
        }
        var stream = new FileStream(path, FileMode.Create, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            var schema = new ParquetSchema(columns.Select(column => column.Field));
            var parquet = await ParquetWriter.CreateAsync(schema, stream, options, cancellationToken: cancellationToken);
            parquet.CustomMetadata = new Dictionary<string, string> { [ShardMetadata.Key] = metadata.ToJson() };
            return new ParquetTraceWriter(stream, parquet, columns);
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes a trace; writes a row group once <paramref name="rowGroupBytes"/> are waiting.</summary>
    public async Task AppendAsync(Trace trace, long rowGroupBytes, CancellationToken cancellationToken)
    {
        foreach (var column in _columns)
        {
            _bufferedBytes += column.Append(trace);
        }

        _bufferedRows++;
        Rows++;
        Tokens += trace.Logprobs?.Count ?? trace.CompletionTokens;
        if (_bufferedBytes >= rowGroupBytes)
        {
            await FlushRowGroupAsync(cancellationToken);
        }
    }

    /// <summary>Writes what is left and the footer, and makes sure that it is on the disk.</summary>
    /// <returns>The shard under its temporary name.</returns>
    public async Task<ShardEntry> CloseAsync(CancellationToken cancellationToken)
    {
        if (_bufferedRows > 0)
        {
            await FlushRowGroupAsync(cancellationToken);
        }

        await _parquet.DisposeAsync();
        _stream.Flush(flushToDisk: true);
        _stream.Position = 0;
        var hash = await SHA256.HashDataAsync(_stream, cancellationToken);
        var entry = new ShardEntry(System.IO.Path.GetFileName(Path), Rows, Tokens, _stream.Length, Convert.ToHexStringLower(hash));
        await _stream.DisposeAsync();
        return entry;
    }

    /// <summary>Lets go of the file without finishing it.</summary>
    public async Task AbandonAsync()
    {
        try
        {
            await _stream.DisposeAsync();
        }
        catch (IOException)
        {
            // A full disk refuses the buffered rest as well; the file is deleted anyway.
        }
    }

    async Task FlushRowGroupAsync(CancellationToken cancellationToken)
    {
        using var rowGroup = _parquet.CreateRowGroup();
        foreach (var column in _columns)
        {
            await column.FlushAsync(rowGroup, cancellationToken);
        }

        rowGroup.CompleteValidate();
        _bufferedBytes = 0;
        _bufferedRows = 0;
    }
}
