using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Traces;
using TraceDistill.Teachers.Journal;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Takes traces out of shards that no longer fit the plan, in the order in which they are asked for. Where that is the order of the shard, it is read
/// once from end to end; what is passed over and still needed is put aside into the journal.
/// </summary>
sealed class EarlierShards(TraceInventory inventory, TraceJournal journal) : IAsyncDisposable
{
    readonly Dictionary<int, IAsyncEnumerator<Trace>> _readers = [];

    /// <param name="shard">Index of the shard in which the trace was when it was asked for.</param>
    /// <param name="key">The trace.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public async Task<Trace> TakeAsync(int shard, TraceKey key, CancellationToken cancellationToken)
    {
        if (inventory.ShardOf(key) is null)
        {
            return journal.Read([key]).Single();
        }

        var stored = inventory.Shards[shard];
        if (!_readers.TryGetValue(shard, out var reader))
        {
            _readers[shard] = reader = ShardFile.ReadAsync(stored.Path, stored.Entry, cancellationToken).GetAsyncEnumerator(cancellationToken);
        }

        while (await reader.MoveNextAsync())
        {
            var current = TraceKey.Of(reader.Current.Id);
            if (current == key)
            {
                return reader.Current;
            }

            if (inventory.ShardOf(current) == shard)
            {
                await journal.AddAsync(reader.Current);
                inventory.PutAside(current);
            }
        }

        throw new InvalidInputException($"{stored.Path}: does not hold trace {key} any more; restore it or collect again");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var reader in _readers.Values)
        {
            await reader.DisposeAsync();
        }
    }
}
