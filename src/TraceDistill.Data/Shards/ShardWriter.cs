using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>
/// Writes traces to a directory of Parquet shards with manifest and dataset card. Nothing is visible
/// before <see cref="CompleteAsync(CancellationToken)"/>: a writer that is disposed without it, or killed,
/// leaves a data set that stood there untouched, and its leftovers go with the next writer. Only while a
/// data set is being replaced, a few renames long, is there none: a reader then names what is missing.
/// </summary>
/// <remarks>
/// Memory is bounded by <see cref="ShardWriterOptions.RowGroupBytes"/>, whatever the number of traces. Equal traces in equal order with
/// equal options give equal bytes. Not safe for concurrent calls.
/// </remarks>
public sealed class ShardWriter : IAsyncDisposable
{
    readonly string _directory;
    readonly DatasetDescription _dataset;
    readonly ShardWriterOptions _options;
    readonly List<ShardEntry> _closed = [];
    ParquetTraceWriter? _open;
    bool _completed;

    ShardWriter(string directory, DatasetDescription dataset, ShardWriterOptions options)
    {
        _directory = directory;
        _dataset = dataset;
        _options = options;
    }

    /// <summary>Traces written so far.</summary>
    public long Rows => _closed.Sum(shard => shard.Rows) + (_open?.Rows ?? 0);

    /// <summary>Creates the directory where needed, deletes what a killed writer left in it, and opens the first shard.</summary>
    /// <exception cref="InvalidInputException">The directory cannot be written to.</exception>
    /// <exception cref="ExternalFailureException">The disk is full.</exception>
    public static async Task<ShardWriter> CreateAsync(
        string directory,
        DatasetDescription dataset,
        ShardWriterOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        var writer = new ShardWriter(directory, dataset, options ?? new ShardWriterOptions());
        try
        {
            Directory.CreateDirectory(directory);
            DeleteTemporaries(directory);
            await writer.OpenShardAsync(cancellationToken);
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(directory, error);
        }

        return writer;
    }

    /// <summary>Adds a trace.</summary>
    /// <exception cref="InvalidInputException">
    /// The trace contradicts the description of the data set, or its soft targets are none.
    /// </exception>
    /// <exception cref="ExternalFailureException">The disk is full.</exception>
    public async Task WriteAsync(Trace trace, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        TraceValidation.Check(trace, _dataset);
        try
        {
            _open ??= await OpenShardAsync(cancellationToken);
            await _open.AppendAsync(trace, _options.RowGroupBytes, cancellationToken);
            if (_open.BytesWritten >= _options.ShardBytes)
            {
                await CloseShardAsync(cancellationToken);
            }
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(_directory, error);
        }
    }

    /// <summary>Finishes the shards and publishes them, the manifest last. A data set that stood in the directory is replaced.</summary>
    /// <exception cref="ExternalFailureException">The disk is full.</exception>
    public Task<ShardManifest> CompleteAsync(CancellationToken cancellationToken = default) =>
        CompleteAsync(selection: null, capabilities: null, cancellationToken);

    /// <inheritdoc cref="CompleteAsync(CancellationToken)"/>
    /// <param name="selection">Selection of a collection's traces that the data set holds; null for all.</param>
    /// <param name="capabilities">Capabilities of the teacher's endpoint as seen; null where none was asked.</param>
    /// <param name="cancellationToken">Stops and leaves a data set that stood there.</param>
    public async Task<ShardManifest> CompleteAsync(
        TraceSelection? selection,
        TeacherCapabilities? capabilities,
        CancellationToken cancellationToken = default
    )
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        try
        {
            if (_open is not null)
            {
                await CloseShardAsync(cancellationToken);
            }

            var manifest = Describe() with { Selection = selection, Capabilities = capabilities };
            Publish(manifest);
            _completed = true;
            return manifest;
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(_directory, error);
        }
    }

    /// <summary>Throws away what was not completed.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_completed)
        {
            return;
        }

        _completed = true;
        if (_open is not null)
        {
            await _open.AbandonAsync();
        }

        DeleteTemporaries(_directory);
    }

    /// <summary>
    /// Writes a single shard under a temporary name, flushes it to disk and renames it, over a file that has the name already: for data
    /// sets that are put together shard by shard. Once it returns, the loss of power costs neither file nor name.
    /// </summary>
    /// <param name="path">The shard's own name.</param>
    /// <param name="dataset">Facts that hold for every trace.</param>
    /// <param name="traces">Its rows, in order. Equal traces in equal order give equal bytes.</param>
    /// <param name="layout">How soft targets are stored in it.</param>
    /// <param name="rowGroups">Traces of each row group; null cuts them by size. What is left over makes one of its own.</param>
    /// <param name="cancellationToken">Stops between traces and leaves nothing.</param>
    /// <exception cref="InvalidInputException">A trace contradicts the description; or the directory cannot be written to.</exception>
    /// <exception cref="ExternalFailureException">The disk is full, or fails.</exception>
    public static async Task<ShardEntry> WriteShardAsync(
        string path,
        DatasetDescription dataset,
        IAsyncEnumerable<Trace> traces,
        SoftTargetLayout layout = SoftTargetLayout.Compact,
        IReadOnlyList<int>? rowGroups = null,
        CancellationToken cancellationToken = default
    )
    {
        var options = new ShardWriterOptions { Layout = layout };
        var temporary = path + AtomicFile.TemporarySuffix;
        try
        {
            var file = await OpenFileAsync(temporary, dataset, options, cancellationToken);
            try
            {
                var (ends, rows) = (EndsOf(rowGroups ?? []), 0L);
                await foreach (var trace in traces.WithCancellation(cancellationToken))
                {
                    TraceValidation.Check(trace, dataset);
                    rows++;
                    var most =
                        rowGroups is null ? options.RowGroupBytes
                        : ends.Contains(rows) ? 0
                        : long.MaxValue;
                    await file.AppendAsync(trace, most, cancellationToken);
                }

                var entry = await file.CloseAsync(cancellationToken);
                DirectorySync.MoveFile(temporary, path);
                return entry with { File = Path.GetFileName(path) };
            }
            catch
            {
                await file.AbandonAsync();
                File.Delete(temporary);
                throw;
            }
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(Path.GetDirectoryName(path)!, error);
        }
    }

    /// <summary>Traces up to the end of each row group.</summary>
    static HashSet<long> EndsOf(IReadOnlyList<int> rowGroups)
    {
        var (ends, end) = (new HashSet<long>(), 0L);
        foreach (var rows in rowGroups)
        {
            ends.Add(end += rows);
        }

        return ends;
    }

    static Task<ParquetTraceWriter> OpenFileAsync(
        string path,
        DatasetDescription dataset,
        ShardWriterOptions options,
        CancellationToken cancellationToken
    ) =>
        ParquetTraceWriter.CreateAsync(
            path,
            new ShardMetadata(ShardManifest.CurrentFormatVersion, dataset, options.Layout),
            cancellationToken
        );

    async Task<ParquetTraceWriter> OpenShardAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(_directory, ShardName.Temporary(_closed.Count));
        return _open = await OpenFileAsync(path, _dataset, _options, cancellationToken);
    }

    async Task CloseShardAsync(CancellationToken cancellationToken)
    {
        _closed.Add(await _open!.CloseAsync(cancellationToken));
        _open = null;
    }

    ShardManifest Describe() =>
        new()
        {
            Dataset = _dataset,
            Layout = _options.Layout,
            Rows = _closed.Sum(shard => shard.Rows),
            Tokens = _closed.Sum(shard => shard.Tokens),
            Bytes = _closed.Sum(shard => shard.Bytes),
            Shards = [.. _closed.Select((shard, index) => shard with { File = ShardName.Published(index, _closed.Count) })],
        };

    // While a data set is being replaced it has no manifest, so a reader never takes a mixture of old and new for whole.
    void Publish(ShardManifest manifest)
    {
        File.Delete(Path.Combine(_directory, ShardManifest.FileName));
        foreach (var stale in Directory.EnumerateFiles(_directory).Where(file => ShardName.Parse(Path.GetFileName(file)) is not null))
        {
            File.Delete(stale);
        }

        foreach (var (closed, shard) in _closed.Zip(manifest.Shards))
        {
            File.Move(Path.Combine(_directory, closed.File), Path.Combine(_directory, shard.File));
        }

        DatasetCard.Save(_directory, manifest);
        manifest.Save(_directory);
    }

    static void DeleteTemporaries(string directory)
    {
        foreach (var leftover in Directory.EnumerateFiles(directory).Where(file => ShardName.IsTemporary(Path.GetFileName(file))))
        {
            File.Delete(leftover);
        }
    }
}
