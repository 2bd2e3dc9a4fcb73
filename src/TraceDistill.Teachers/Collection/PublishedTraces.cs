using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Verification;
using TraceDistill.Teachers.Journal;

namespace TraceDistill.Teachers.Collection;

/// <summary>The data set that an earlier run published in the output folder.</summary>
/// <param name="Manifest">Its manifest; null where nothing is published.</param>
/// <param name="Ids">Ids of its traces.</param>
/// <param name="Correct">Traces among them with a correct answer.</param>
sealed record PublishedTraces(ShardManifest? Manifest, IReadOnlySet<string> Ids, long Correct)
{
    const int MostInFlight = 256;

    /// <exception cref="InvalidInputException">The folder holds shards that no manifest vouches for, or a shard is damaged.</exception>
    public static async Task<PublishedTraces> ReadAsync(string directory, CancellationToken cancellationToken)
    {
        var ids = new HashSet<string>();
        if (ShardManifest.Load(directory) is not { } manifest)
        {
            // With a journal they are leftovers of a publication that was cut short, and the journal has their traces.
            return TraceJournal.ExistsIn(directory) || !Directory.EnumerateFiles(directory, "train-*.parquet").Any()
                ? new PublishedTraces(null, ids, 0)
                : throw new InvalidInputException($"{directory}: holds shards but no {ShardManifest.FileName}; restore it, or name another folder with --out");
        }

        var correct = 0L;
        var reader = await ShardReader.OpenAsync(directory, new ShardReaderOptions { SoftTargets = false }, cancellationToken);
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            ids.Add(trace.Id);
            correct += trace.Verdict == Verdict.Correct.ToName() ? 1 : 0;
        }

        return new PublishedTraces(manifest, ids, correct);
    }

    /// <summary>Copies the traces into the journal, from which all of them are published anew.</summary>
    public static async Task CopyAsync(string directory, TraceJournal journal, CancellationToken cancellationToken)
    {
        var reader = await ShardReader.OpenAsync(directory, options: null, cancellationToken);
        var inFlight = new Queue<Task>();
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            inFlight.Enqueue(journal.AddAsync(trace));
            if (inFlight.Count > MostInFlight)
            {
                await inFlight.Dequeue();
            }
        }

        await Task.WhenAll(inFlight);
    }
}
