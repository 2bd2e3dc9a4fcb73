using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Takes traces out of shards that no longer fit the plan, in the order in which they are asked for. Where that is the
/// order of the shard, it is read once from end to end; what is passed over and still needed is put aside into the journal.
/// </summary>
sealed class EarlierShards(TraceInventory inventory, TraceJournal journal) : IAsyncDisposable
{
    const int MostUnsettled = 256; // as many as the journal commits at once

    readonly Dictionary<int, IAsyncEnumerator<Trace>> _readers = [];
    readonly List<Task> _unsettled = [];

    /// <param name="shard">Index of the shard in which the trace was when it was asked for.</param>
    /// <param name="key">The trace.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="InvalidInputException">The shard is damaged.</exception>
    public async Task<Trace> TakeAsync(int shard, TraceKey key, CancellationToken cancellationToken)
    {
        if (inventory.ShardOf(key) is null)
        {
            await SettleAsync();
            return journal.Read([key]).Single();
        }

        var stored = inventory.Shards[shard];
        if (!_readers.TryGetValue(shard, out var reader))
        {
            _readers[shard] = reader = ShardReader
                .ReadShardAsync(stored.Path, stored.Entry, cancellationToken)
                .GetAsyncEnumerator(cancellationToken);
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
                _unsettled.Add(journal.AddAsync(reader.Current));
                inventory.PutAside(current);
                if (_unsettled.Count == MostUnsettled)
                {
                    await SettleAsync();
                }
            }
        }

        throw new InvalidInputException($"{stored.Path}: no longer holds trace {key}; restore it or collect again");
    }

    /// <summary>Completes once all that was put aside can be read from the journal.</summary>
    public async Task SettleAsync()
    {
        await Task.WhenAll(_unsettled);
        _unsettled.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var reader in _readers.Values)
        {
            await reader.DisposeAsync();
        }
    }
}
