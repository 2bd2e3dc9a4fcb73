using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers;

/// <summary>
/// A data set of correct traces alone (<see cref="GenerateOptions.OnlyCorrect"/>): the collection keeps all its traces in a folder of its
/// own, goes on there where it was, and what is correct is published beside it. So nothing that was paid for is lost or asked for again.
/// </summary>
public static class CorrectTraces
{
    /// <summary>The folder, within the output folder, in which the whole collection is.</summary>
    public const string Folder = "collected";

    /// <summary>The folder that a collection goes into.</summary>
    /// <exception cref="InvalidInputException">The output folder holds a collection of the other kind.</exception>
    public static string CollectionFolder(GenerateOptions options, string output)
    {
        var folder = Path.Combine(output, Folder);
        if (options.OnlyCorrect && !Directory.Exists(folder) && (ShardManifest.Load(output) is not null || TraceJournal.ExistsIn(output)))
        {
            throw new InvalidInputException(
                $"only_correct: {output} holds traces that were collected without it; "
                    + "name another folder with --out, or train with only_correct, which passes the others over"
            );
        }

        if (!options.OnlyCorrect && Directory.Exists(folder))
        {
            throw new InvalidInputException(
                $"only_correct: {output} holds traces that were collected with it; "
                    + $"give it again, or name another folder with --out (all traces are in {folder})"
            );
        }

        return options.OnlyCorrect ? folder : output;
    }

    /// <summary>The folder that an earlier collection went into, whichever its kind.</summary>
    public static string CollectionFolderIn(string output) =>
        Path.Combine(output, Folder) is var folder && Directory.Exists(folder) ? folder : output;

    /// <summary>Publishes the correct ones of the traces that stand published in the collection's folder.</summary>
    /// <param name="options">With <see cref="GenerateOptions.OnlyCorrect"/>.</param>
    /// <param name="output">The output folder.</param>
    /// <param name="collected">The collection's summary.</param>
    /// <param name="observer">Takes messages on what is left out.</param>
    /// <param name="cancellationToken">Stops and leaves what stands published.</param>
    public static async Task<CollectSummary> PublishAsync(
        GenerateOptions options,
        string output,
        CollectSummary collected,
        IRunObserver observer,
        CancellationToken cancellationToken = default
    )
    {
        var folder = CollectionFolder(options, output);
        if (ShardManifest.Load(folder) is not { } source)
        {
            observer.Message($"{output}: the correct traces are published once all partitions are collected");
            return collected;
        }

        using var @lock = FolderLock.Take(output);
        var reader = await ShardReader.OpenAsync(folder, cancellationToken: cancellationToken);
        await using var writer = await ShardWriter.CreateAsync(
            output,
            source.Dataset,
            new ShardWriterOptions { Layout = options.Layout },
            cancellationToken
        );
        await foreach (var trace in reader.ReadAsync(cancellationToken).Where(trace => trace.Verdict == Verdict.Correct.ToName()))
        {
            await writer.WriteAsync(trace, cancellationToken);
        }

        var selection = new TraceSelection(OnlyCorrect: true, source.Rows, source.Rows - writer.Rows, Folder);
        var manifest = await writer.CompleteAsync(selection, source.Capabilities, cancellationToken);
        observer.Message(
            $"{manifest.Rows:N0} correct traces of {source.Rows:N0} are published; the others are kept in {folder} and not asked for again"
        );
        return collected with
        {
            Count = manifest.Rows,
            Correct = manifest.Rows,
            Tokens = manifest.Tokens,
            Bytes = manifest.Bytes,
            BytesPerToken = (double)manifest.Bytes / Math.Max(1, manifest.Tokens),
            LeftOut = selection.LeftOut,
        };
    }
}
