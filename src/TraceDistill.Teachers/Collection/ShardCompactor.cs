using System.Threading.Channels;

namespace TraceDistill.Teachers.Collection;

/// <summary>Builds the shards of complete blocks, one after the other, while the collection goes on.</summary>
sealed class ShardCompactor : IAsyncDisposable
{
    readonly Channel<int> _blocks = Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true });
    readonly CancellationTokenSource _stop = new();
    readonly CancellationTokenSource _failed = new();
    readonly Task _work;

    public ShardCompactor(ShardBuilder builder) => _work = Task.Run(() => BuildAsync(builder));

    /// <summary>
    /// Cancelled when a shard could not be built: there is no point in collecting more. <see cref="CompleteAsync"/> says why.
    /// </summary>
    public CancellationToken Failed => _failed.Token;

    /// <summary>A block of which all traces are rows of the journal.</summary>
    public void Add(int block) => _blocks.Writer.TryWrite(block);

    /// <summary>Completes once all shards are built.</summary>
    public async Task CompleteAsync()
    {
        _blocks.Writer.TryComplete();
        await _work;
    }

    /// <summary>Stops at once; a shard that was being built will be built again.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _blocks.Writer.TryComplete();
        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _failed.Dispose();
    }

    async Task BuildAsync(ShardBuilder builder)
    {
        try
        {
            await foreach (var block in _blocks.Reader.ReadAllAsync(_stop.Token))
            {
                await builder.BuildAsync(block, earlier: null, _stop.Token);
            }
        }
        catch
        {
            await _failed.CancelAsync();
            throw;
        }
    }
}
