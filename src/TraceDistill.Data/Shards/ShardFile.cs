using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>One shard by itself, for whoever puts a data set together piece by piece.</summary>
public static class ShardFile
{
    /// <summary>Writes a shard under a temporary name, flushes it to disk and gives it its own name, over a file that has it already. Once it returns, the loss of power costs neither.</summary>
    /// <param name="path">The shard's own name.</param>
    /// <param name="dataset">What holds for every trace.</param>
    /// <param name="traces">Its rows, in order. Equal traces in equal order give equal bytes.</param>
    /// <param name="layout">How soft targets stand in it.</param>
    /// <param name="cancellationToken">Stops between traces and leaves nothing.</param>
    /// <exception cref="InvalidInputException">A trace contradicts the description; or the place cannot be written to.</exception>
    /// <exception cref="ExternalFailureException">The disk is full, or fails.</exception>
    public static async Task<ShardEntry> WriteAsync(
        string path, DatasetDescription dataset, IAsyncEnumerable<Trace> traces, SoftTargetLayout layout = SoftTargetLayout.Compact, CancellationToken cancellationToken = default)
    {
        var options = new ShardWriterOptions { Layout = layout };
        var temporary = path + AtomicFile.TemporarySuffix;
        try
        {
            var file = await ShardFileWriter.CreateAsync(temporary, new ShardMetadata(ShardManifest.CurrentFormatVersion, dataset, options.Layout), cancellationToken);
            try
            {
                await foreach (var trace in traces.WithCancellation(cancellationToken))
                {
                    TraceValidation.Check(trace, dataset);
                    await file.AppendAsync(trace, options.RowGroupBytes, cancellationToken);
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

    /// <summary>Outcome of each trace of a shard, in order: a few small columns are read.</summary>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public static async IAsyncEnumerable<TraceHead> ReadHeadsAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var shard = await ShardFileReader.OpenAsync(path, softTargets: false, cancellationToken);
        for (var group = 0; group < shard.RowGroups.Count; group++)
        {
            foreach (var head in await shard.ReadHeadsAsync(group, cancellationToken))
                yield return head;
        }
    }

    /// <summary>Returns whether a shard is written as it would be now: in this format version and layout.</summary>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public static async Task<bool> IsCurrentAsync(string path, SoftTargetLayout layout, CancellationToken cancellationToken = default)
    {
        await using var shard = await ShardFileReader.OpenAsync(path, softTargets: false, cancellationToken);
        return shard.Metadata.FormatVersion == ShardManifest.CurrentFormatVersion && shard.Metadata.Layout == layout;
    }

    /// <summary>The traces of a shard, in order, once its bytes have turned out to be those of its entry.</summary>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public static async IAsyncEnumerable<Trace> ReadAsync(string path, ShardEntry entry, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await VerifyAsync(path, entry, cancellationToken);
        await using var shard = await ShardFileReader.OpenAsync(path, softTargets: true, cancellationToken);
        for (var group = 0; group < shard.RowGroups.Count; group++)
        {
            foreach (var trace in await shard.ReadRowGroupAsync(group, decodes: true, cancellationToken))
                yield return trace;
        }
    }

    internal static async Task VerifyAsync(string path, ShardEntry entry, CancellationToken cancellationToken)
    {
        await using var stream = File.OpenRead(path);
        if (Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellationToken)) != entry.Sha256)
            throw new InvalidInputException($"{path}: its SHA-256 is not the manifest's; the shard is damaged, restore it or collect again");
    }
}
