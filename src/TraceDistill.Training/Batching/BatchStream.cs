using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>
/// Batches that are read, aligned and decoded ahead of the training, on threads of their own.
/// Of the data as much is in memory as the plan mixes, however much there is.
/// </summary>
/// <param name="plan">The order.</param>
/// <param name="threads">Threads; no bit of a batch depends on their number.</param>
sealed class BatchStream(BatchPlan plan, int threads = 1) : IBatchSource
{
    public IEnumerable<IReadOnlyList<TraceTokens>> From(long update, CancellationToken cancellationToken = default)
    {
        using var reading = new BatchReading(plan, update, threads);
        while (reading.Next(cancellationToken) is { } batch)
        {
            yield return batch;
        }
    }
}
