using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers;

/// <summary>
/// A data set of some of the traces, those that are correct (<see cref="GenerateOptions.OnlyCorrect"/>) or agreed on
/// (<see cref="GenerateOptions.MinAgreement"/>): the collection keeps all in a folder of its own, goes on there where it was, and what is
/// selected is published beside it. So nothing that was paid for is lost or asked for again.
/// </summary>
public static class SelectedTraces
{
    /// <summary>The folder, within the output folder, in which the whole collection is.</summary>
    public const string Folder = "collected";

    /// <summary>The folder that a collection goes into.</summary>
    /// <exception cref="InvalidInputException">The output folder holds a collection of the other kind.</exception>
    public static string CollectionFolder(GenerateOptions options, string output)
    {
        var folder = Path.Combine(output, Folder);
        if (options.Selects() && !Directory.Exists(folder) && (ShardManifest.Load(output) is not null || TraceJournal.ExistsIn(output)))
        {
            throw new InvalidInputException(
                $"{(options.OnlyCorrect ? "only_correct" : "min_agreement")}: {output} holds traces that were collected without it; "
                    + "name another folder with --out"
                    + (options.OnlyCorrect ? ", or train with only_correct, which passes the others over" : "")
            );
        }

        if (!options.Selects() && Directory.Exists(folder))
        {
            throw new InvalidInputException(
                $"{output}: holds a selection of traces, made with only_correct or min_agreement, and neither is given; "
                    + $"give it again, or name another folder with --out (all traces are in {folder})"
            );
        }

        return options.Selects() ? folder : output;
    }

    /// <summary>The folder that an earlier collection went into, whichever its kind.</summary>
    public static string CollectionFolderIn(string output) =>
        Path.Combine(output, Folder) is var folder && Directory.Exists(folder) ? folder : output;

    /// <summary>Publishes the selected ones of the traces that stand published in the collection's folder.</summary>
    /// <param name="options">Say which.</param>
    /// <param name="output">The output folder.</param>
    /// <param name="collected">The collection's summary.</param>
    /// <param name="verifier">Finds answers.</param>
    /// <param name="observer">Takes messages on what is left out.</param>
    /// <param name="cancellationToken">Stops and leaves what stands published.</param>
    public static async Task<CollectSummary> PublishAsync(
        GenerateOptions options,
        string output,
        CollectSummary collected,
        IVerifier verifier,
        IRunObserver observer,
        CancellationToken cancellationToken = default
    )
    {
        var folder = CollectionFolder(options, output);
        if (ShardManifest.Load(folder) is not { } source)
        {
            observer.Message($"{output}: the selected traces are published once all partitions are collected");
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
        var agreement = options.MinAgreement is null ? null : await AgreementAsync(folder, verifier, cancellationToken);
        var correct = 0L;
        await foreach (var trace in reader.ReadAsync(cancellationToken).Where(IsSelected))
        {
            correct += trace.Verdict == Verdict.Correct.ToName() ? 1 : 0;
            await writer.WriteAsync(trace, cancellationToken);
        }

        var selection = new TraceSelection(options.OnlyCorrect, source.Rows, source.Rows - writer.Rows, Folder, options.MinAgreement);
        var manifest = await writer.CompleteAsync(selection, source.Capabilities, cancellationToken);
        if (agreement is not null)
        {
            observer.Message(
                FormattableString.Invariant($"of {agreement.Problems:N0} problems {agreement.Agreed(options.MinAgreement!.Value):N0} have ")
                    + FormattableString.Invariant($"an answer that at least {options.MinAgreement:P0} of the samples give")
            );
        }

        observer.Message(
            $"{manifest.Rows:N0} {(agreement is null ? "correct" : "selected")} traces of {source.Rows:N0} are published; "
                + $"the others are kept in its folder {Path.GetFileName(folder)} and not asked for again"
        );
        return collected with
        {
            Count = manifest.Rows,
            Correct = correct,
            Tokens = manifest.Tokens,
            Bytes = manifest.Bytes,
            BytesPerToken = (double)manifest.Bytes / Math.Max(1, manifest.Tokens),
            LeftOut = selection.LeftOut,
        };

        bool IsSelected(Trace trace) =>
            agreement is null || (options.OnlyCorrect && trace.ExpectedAnswer.Length > 0)
                ? trace.Verdict == Verdict.Correct.ToName()
                : agreement.Agrees(trace, options.MinAgreement!.Value);
    }

    static async Task<AnswerAgreement> AgreementAsync(string folder, IVerifier verifier, CancellationToken cancellationToken)
    {
        var agreement = new AnswerAgreement(verifier);
        var reader = await ShardReader.OpenAsync(
            folder,
            new ShardReaderOptions { SoftTargets = false, VerifyChecksums = false },
            cancellationToken
        );
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            agreement.Count(trace);
        }

        return agreement;
    }
}
