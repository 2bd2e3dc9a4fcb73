using TraceDistill.Core.Storage;
using TraceDistill.Core.Verification;
using TraceDistill.Teachers.Journal;

namespace TraceDistill.Teachers.Collection;

/// <summary>Turns a journal into shards: in the plan's order, whatever the order in which the traces came.</summary>
static class ShardPublisher
{
    /// <summary>
    /// Publishes every trace of the journal, those that the plan does not know last, and removes the journal once the manifest stands. Cut short
    /// anywhere, it leaves the journal whole and can be repeated.
    /// </summary>
    public static async Task<PublishedTraces> PublishAsync(
        CollectionPlan plan, TraceJournal journal, DatasetDescription dataset, string directory, CancellationToken cancellationToken)
    {
        await journal.CompleteAsync();
        var ids = journal.Ids();
        var rest = new HashSet<string>(ids);
        var correct = 0L;
        ShardManifest manifest;
        await using (var writer = await ShardWriter.CreateAsync(directory, dataset, options: null, cancellationToken))
        {
            foreach (var id in plan.Traces().Select(planned => planned.Request.Id).Where(rest.Remove).Concat(ids.Where(rest.Contains)))
            {
                var trace = journal.Read(id);
                correct += trace.Verdict == Verdict.Correct.ToName() ? 1 : 0;
                await writer.WriteAsync(trace, cancellationToken);
            }

            manifest = await writer.CompleteAsync(cancellationToken);
        }

        await journal.DisposeAsync();
        TraceJournal.Delete(directory);
        return new PublishedTraces(manifest, ids.ToHashSet(), correct);
    }
}
