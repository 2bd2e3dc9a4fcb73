using System.Runtime.CompilerServices;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Shards;

/// <summary>
/// Reads the traces of a data set, one row group at a time: all in the order they were written, or row groups in any order. Static methods
/// read a single shard, for data sets that are put together shard by shard.
/// </summary>
public sealed class ShardReader
{
    readonly ShardReaderOptions _options;
    readonly IReadOnlyList<string> _files;

    /// <summary>Shard, place within it and traces of each row group.</summary>
    readonly IReadOnlyList<(int File, int Group, int Rows)> _groups;

    /// <summary>[shards] whether each is known to be what the manifest says.</summary>
    readonly bool[] _verified;

    ShardReader(
        string path,
        IReadOnlyList<string> files,
        ShardMetadata metadata,
        ShardManifest? manifest,
        IReadOnlyList<(int File, int Group, int Rows)> groups,
        ShardReaderOptions options
    )
    {
        Path = path;
        _files = files;
        Dataset = metadata.Dataset;
        Layout = metadata.Layout;
        Manifest = manifest;
        _groups = groups;
        _options = options;
        _verified = [.. files.Select(_ => manifest is null || !options.VerifyChecksums)];
    }

    /// <summary>The directory or file that was opened.</summary>
    public string Path { get; }

    /// <summary>Facts that hold for every trace.</summary>
    public DatasetDescription Dataset { get; }

    public SoftTargetLayout Layout { get; }

    /// <summary>Null where a single file, or a directory without manifest, was opened.</summary>
    public ShardManifest? Manifest { get; }

    /// <summary>Traces in all shards.</summary>
    public long Rows => _groups.Sum(group => (long)group.Rows);

    /// <summary>Row groups of all shards.</summary>
    public int RowGroups => _groups.Count;

    /// <summary>[shards] the traces of each shard's row groups, in the order they were written.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Cut =>
        [.. _files.Select((_, file) => (IReadOnlyList<int>)[.. _groups.Where(group => group.File == file).Select(group => group.Rows)])];

    /// <summary>The shards, in the order they were written.</summary>
    public IReadOnlyList<string> Files => _files;

    /// <summary>Size of all shards on disk.</summary>
    public long Bytes => _files.Sum(file => new FileInfo(file).Length);

    /// <summary>
    /// Opens a directory of shards (by its manifest; without one, by the shards' own metadata) or a single <c>.parquet</c> file, and checks
    /// that all of it is there and of one kind. Rows are not read yet.
    /// </summary>
    /// <exception cref="InvalidInputException">
    /// A shard is missing, truncated, of another data set or no trace shard at all, or a column
    /// is missing or of the wrong type; the message names the file and the column.
    /// </exception>
    public static async Task<ShardReader> OpenAsync(
        string path,
        ShardReaderOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        options ??= new ShardReaderOptions();
        var manifest = Directory.Exists(path) ? ShardManifest.Load(path) : null;
        var files = DatasetFiles.Find(path, manifest);
        ShardMetadata? common = manifest is null ? null : new ShardMetadata(manifest.FormatVersion, manifest.Dataset, manifest.Layout);
        var groups = new List<(int File, int Group, int Rows)>();
        foreach (var (index, file) in files.Index())
        {
            await using var shard = await ParquetTraceReader.OpenAsync(file, options.SoftTargets, cancellationToken);
            // A collection that was begun by an earlier version of this program may have shards
            // of two format versions; each is read by its own.
            if (common is not null && shard.Metadata with { FormatVersion = common.FormatVersion } != common)
            {
                throw new InvalidInputException(
                    $"{file}: belongs to another data set than {(manifest is null ? files[0] : ShardManifest.FileName)} (teacher, "
                        + "tokenizer, k or layout differ); keep each data set in its own directory"
                );
            }

            common = shard.Metadata;
            groups.AddRange(shard.RowGroups.Select((rows, group) => (index, group, rows)));
        }

        return new ShardReader(path, files, common!, manifest, groups, options);
    }

    /// <summary>All traces, in the order they were written. Memory is bounded by one row group.</summary>
    /// <exception cref="InvalidInputException">A shard is damaged; the message names the file and the column.</exception>
    public async IAsyncEnumerable<Trace> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var group = 0; group < RowGroups; group++)
        {
            foreach (var trace in await ReadRowGroupAsync(group, cancellationToken: cancellationToken))
            {
                yield return trace;
            }
        }
    }

    /// <summary>The traces of one row group, each put together when it is asked for. Safe to call from several threads.</summary>
    /// <param name="group">Counted from 0 over all shards, in the order they were written.</param>
    /// <param name="decodes">
    /// True where the soft targets of a compact shard are decoded, which finds damage; else they
    /// are in <see cref="Generation.TokenLogprobs.Encoded"/> alone, as they are stored.
    /// </param>
    /// <param name="cancellationToken">Stops between columns.</param>
    /// <exception cref="InvalidInputException">The shard is damaged; the message names the file and the column.</exception>
    public async Task<IReadOnlyList<Trace>> ReadRowGroupAsync(int group, bool decodes = true, CancellationToken cancellationToken = default)
    {
        var (index, within, _) = _groups[group];
        if (!_verified[index])
        {
            await ParquetTraceReader.VerifyAsync(_files[index], Manifest!.Shards[index], cancellationToken);
            _verified[index] = true;
        }

        await using var shard = await ParquetTraceReader.OpenAsync(_files[index], _options.SoftTargets, cancellationToken);
        return await shard.ReadRowGroupAsync(within, decodes, cancellationToken);
    }

    /// <summary>The id of each trace, in order; no other column is read.</summary>
    /// <exception cref="InvalidInputException">A shard is damaged.</exception>
    public async IAsyncEnumerable<string> ReadIdsAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var file in _files)
        {
            await using var shard = await ParquetTraceReader.OpenAsync(file, softTargets: false, cancellationToken);
            for (var group = 0; group < shard.RowGroups.Count; group++)
            {
                foreach (var id in await shard.ReadIdsAsync(group, cancellationToken))
                {
                    yield return id;
                }
            }
        }
    }

    /// <summary>The traces of a single shard, in order, once its bytes have turned out to be those of its entry.</summary>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public static async IAsyncEnumerable<Trace> ReadShardAsync(
        string path,
        ShardEntry entry,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        await ParquetTraceReader.VerifyAsync(path, entry, cancellationToken);
        await using var shard = await ParquetTraceReader.OpenAsync(path, softTargets: true, cancellationToken);
        for (var group = 0; group < shard.RowGroups.Count; group++)
        {
            foreach (var trace in await shard.ReadRowGroupAsync(group, decodes: true, cancellationToken))
            {
                yield return trace;
            }
        }
    }

    /// <summary>The outcome of each trace of a single shard, in order; only a few small columns are read.</summary>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public static async IAsyncEnumerable<TraceHead> ReadHeadsAsync(
        string path,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        await using var shard = await ParquetTraceReader.OpenAsync(path, softTargets: false, cancellationToken);
        for (var group = 0; group < shard.RowGroups.Count; group++)
        {
            foreach (var head in await shard.ReadHeadsAsync(group, cancellationToken))
            {
                yield return head;
            }
        }
    }

    /// <summary>
    /// Returns whether a single shard has the format version and the layout in which <see cref="ShardWriter"/> would write it now.
    /// </summary>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public static async Task<bool> IsCurrentAsync(string path, SoftTargetLayout layout, CancellationToken cancellationToken = default)
    {
        await using var shard = await ParquetTraceReader.OpenAsync(path, softTargets: false, cancellationToken);
        return shard.Metadata.FormatVersion == ShardManifest.CurrentFormatVersion && shard.Metadata.Layout == layout;
    }

    /// <summary>Refuses a data set whose tokens are not the student's.</summary>
    /// <param name="tokenizerHash">Hash of the student's tokenizer.json.</param>
    /// <param name="vocabularySize">Tokens that the student's tokenizer knows.</param>
    /// <param name="chatTemplateHash">Hash of the template that training prompts are rendered with; null does not compare it.</param>
    /// <remarks>What the data set does not state cannot contradict. Text without token ids goes with every tokenizer.</remarks>
    /// <exception cref="InvalidInputException">Names everything that differs.</exception>
    public void EnsureCompatible(string tokenizerHash, int vocabularySize, string? chatTemplateHash = null)
    {
        var differences = new List<string>();
        if (Dataset.TokenIdentity != TokenIdentity.Text)
        {
            Compare("tokenizer", Dataset.TokenizerHash, tokenizerHash);
            Compare("vocabulary size", Dataset.VocabularySize?.ToString(), vocabularySize.ToString());
        }

        Compare("chat template", Dataset.ChatTemplateHash, chatTemplateHash);
        if (differences.Count > 0)
        {
            throw new InvalidInputException($"{Path}: was collected for another student: {string.Join("; ", differences)}");
        }

        void Compare(string what, string? ofTraces, string? ofStudent)
        {
            if (ofTraces is not null && ofStudent is not null && ofTraces != ofStudent)
            {
                differences.Add($"{what} is {ofTraces} in the traces and {ofStudent} in the student");
            }
        }
    }
}
