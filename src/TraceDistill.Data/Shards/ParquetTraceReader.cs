using System.Security.Cryptography;
using System.Text.Json;
using Parquet;
using Parquet.Schema;
using TraceDistill.Data.Shards.Parquet;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>Reads one shard, row group by row group.</summary>
sealed class ParquetTraceReader : IAsyncDisposable
{
    readonly string _file;
    readonly ParquetReader _parquet;
    readonly ParquetSchema _schema;
    readonly bool _softTargets;

    ParquetTraceReader(string file, ParquetReader parquet, ParquetSchema schema, ShardMetadata metadata, bool softTargets)
    {
        _file = file;
        _parquet = parquet;
        _schema = schema;
        _softTargets = softTargets;
        Metadata = metadata;
    }

    public ShardMetadata Metadata { get; }

    public long Rows => _parquet.RowGroups.Sum(group => group.RowCount);

    /// <summary>Traces of each row group.</summary>
    public IReadOnlyList<int> RowGroups => [.. _parquet.RowGroups.Select(group => (int)group.RowCount)];

    /// <summary>Opens a shard and checks its metadata and columns.</summary>
    public static async Task<ParquetTraceReader> OpenAsync(string file, bool softTargets, CancellationToken cancellationToken)
    {
        var stream = OpenStream(file);
        try
        {
            var (parquet, schema) = await OpenParquetAsync(file, stream, cancellationToken);
            var metadata = Describe(file, parquet);
            var shard = new ParquetTraceReader(file, parquet, schema, metadata, softTargets && metadata.Dataset.TopK > 0);
            await shard.CheckColumnsAsync(cancellationToken);
            return shard;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Checks that a shard's bytes are those that its manifest lists.</summary>
    /// <exception cref="InvalidInputException">They are not.</exception>
    public static async Task VerifyAsync(string file, ShardEntry entry, CancellationToken cancellationToken)
    {
        await using var stream = File.OpenRead(file);
        if (Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellationToken)) != entry.Sha256)
        {
            throw new InvalidInputException(
                $"{file}: its SHA-256 is not the manifest's; the shard is damaged, restore it or collect again"
            );
        }
    }

    public ValueTask DisposeAsync() => _parquet.DisposeAsync();

    /// <summary>The traces of a row group; each is put together when it is asked for.</summary>
    /// <param name="group">Counted from 0.</param>
    /// <param name="decodes">True where compact soft targets are decoded.</param>
    /// <param name="cancellationToken">Stops between columns.</param>
    public async Task<TraceRowGroup> ReadRowGroupAsync(int group, bool decodes, CancellationToken cancellationToken)
    {
        var columns = new ColumnReader(_file, _schema, _parquet.RowGroups[group]);
        return await TraceRowGroup.ReadAsync(columns, Metadata, _softTargets, decodes, cancellationToken);
    }

    /// <summary>The id of each trace of a row group.</summary>
    public async Task<string[]> ReadIdsAsync(int group, CancellationToken cancellationToken) =>
        await new ColumnReader(_file, _schema, _parquet.RowGroups[group]).TextsAsync(ShardColumns.Id, cancellationToken);

    /// <summary>Outcome of each trace of a row group.</summary>
    public async Task<IEnumerable<TraceHead>> ReadHeadsAsync(int group, CancellationToken cancellationToken)
    {
        var columns = new ColumnReader(_file, _schema, _parquet.RowGroups[group]);
        var ids = await columns.ScalarsAsync<ReadOnlyMemory<char>>(ShardColumns.Id, cancellationToken);
        var verdicts = await columns.ScalarsAsync<ReadOnlyMemory<char>>(ShardColumns.Verdict, cancellationToken);
        var reasons = await columns.ScalarsAsync<ReadOnlyMemory<char>>(ShardColumns.FinishReason, cancellationToken);
        var answers = await columns.ScalarsAsync<ReadOnlyMemory<char>>(ShardColumns.Answer, cancellationToken);
        var seeds = await columns.ScalarsAsync<long>(ShardColumns.Seed, cancellationToken);
        var expected = await columns.ScalarsAsync<ReadOnlyMemory<char>>(ShardColumns.ExpectedAnswer, cancellationToken);
        var toolCalls = await columns.OptionalTextsAsync(ShardColumns.ToolCalls, cancellationToken);
        return ids.Select(
            (id, row) =>
                new TraceHead(
                    TraceKey.Of(id.Span),
                    string.Intern(verdicts[row].ToString()),
                    string.Intern(reasons[row].ToString()),
                    !answers[row].Span.IsWhiteSpace() || toolCalls?[row] is not null,
                    seeds[row],
                    expected[row].ToString()
                )
        );
    }

    // Asks for every column that reading will ask for, so that a foreign file is refused before the first row.
    async Task CheckColumnsAsync(CancellationToken cancellationToken) =>
        await TraceRowGroup.ReadAsync(
            new ColumnReader(_file, _schema, rowGroup: null),
            Metadata,
            _softTargets,
            decodes: true,
            cancellationToken
        );

    static FileStream OpenStream(string file)
    {
        try
        {
            InputFile.EnsureReadable(file);
            return File.OpenRead(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{file}: cannot be opened ({error.Message.TrimEnd('.')})", error);
        }
    }

    static async Task<(ParquetReader Parquet, ParquetSchema Schema)> OpenParquetAsync(
        string file,
        FileStream stream,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var parquet = await ParquetFile.OpenAsync(stream, cancellationToken);
            return (parquet, parquet.Schema);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw new InvalidInputException(
                file.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase)
                    ? $"{file}: not a whole Parquet file; it is truncated or damaged, restore it or collect again"
                    : $"{file}: not a trace shard; name the folder that generate wrote, or a .parquet file in it",
                error
            );
        }
    }

    static ShardMetadata Describe(string file, ParquetReader parquet)
    {
        if (parquet.CustomMetadata.GetValueOrDefault(ShardMetadata.Key) is not { } json)
        {
            throw new InvalidInputException(
                $"{file}: a Parquet file, but not a trace shard " + $"(its metadata has no key {ShardMetadata.Key})"
            );
        }

        ShardMetadata? metadata;
        try
        {
            metadata = ShardMetadata.FromJson(json);
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{file}: its metadata {ShardMetadata.Key} is damaged (at {error.Path ?? "$"})", error);
        }

        return metadata is not null && ShardManifest.IsReadable(metadata.FormatVersion)
            ? metadata
            : throw new InvalidInputException(
                $"{file}: format_version is {metadata?.FormatVersion}, and this program reads "
                    + $"up to {ShardManifest.CurrentFormatVersion}; use the version that wrote it"
            );
    }
}
