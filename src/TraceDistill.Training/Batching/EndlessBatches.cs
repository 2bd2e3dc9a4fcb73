using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>Batches of an endless series of sequences, in its order: there are no epochs.</summary>
/// <param name="sequences">Begins the same series anew at every enumeration.</param>
/// <param name="batchTokens">A batch is closed before it would exceed this; a longer sequence makes a batch of its own.</param>
sealed class EndlessBatches(IEnumerable<TraceTokens> sequences, int batchTokens) : IBatchSource
{
    public IEnumerable<IReadOnlyList<TraceTokens>> From(long update, CancellationToken cancellationToken = default) =>
        Batches().TakeWhile(_ => !cancellationToken.IsCancellationRequested).Skip(checked((int)update));

    IEnumerable<IReadOnlyList<TraceTokens>> Batches()
    {
        var batch = new List<TraceTokens>();
        var tokens = 0L;
        foreach (var sequence in sequences)
        {
            if (batch.Count > 0 && tokens + sequence.Ids.Length > batchTokens)
            {
                yield return batch;
                batch = [];
                tokens = 0;
            }

            batch.Add(sequence);
            tokens += sequence.Ids.Length;
        }
    }
}
