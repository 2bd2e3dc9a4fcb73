using TraceDistill.Data.Determinism;
using Xunit;

namespace TraceDistill.Data.Tests.Determinism;

public sealed class OrderedParallelTests
{
    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(128)]
    [InlineData(5_000)]
    public async Task MapInOrderAsync_UnevenWork_KeepsTheOrder(int count)
    {
        var mapped = await Numbers(count).MapInOrderAsync(Work, Token).ToListAsync(Token);

        Assert.Equal(Enumerable.Range(0, count).Select(i => i * 2), mapped);

        static int Work(int i)
        {
            Thread.SpinWait(i % 7 * 200);
            return i * 2;
        }
    }

    [Fact]
    public async Task MapInOrderAsync_Failure_IsThrownBehindTheResultsBeforeIt()
    {
        var seen = new List<int>();

        await Assert.ThrowsAsync<FormatException>(async () =>
        {
            await foreach (var i in Numbers(1_000).MapInOrderAsync(i => i == 300 ? throw new FormatException() : i, Token))
            {
                seen.Add(i);
            }
        });

        Assert.Equal(Enumerable.Range(0, 300), seen);
    }

    [Fact]
    public async Task MapInOrderAsync_FailureBehindWhatIsTaken_IsNotThrown() =>
        Assert.Equal(
            3,
            await Numbers(1_000).MapInOrderAsync(i => i == 3 ? throw new FormatException() : i, Token).Take(3).CountAsync(Token)
        );

    [Fact]
    public async Task MapInOrderAsync_EndlessSource_IsReadBoundedlyAhead()
    {
        var read = 0;

        Assert.Equal(9, await Numbers(int.MaxValue, () => read++).MapInOrderAsync(i => i, Token).Take(10).LastAsync(Token));

        Assert.InRange(read, 10, 128 * (Environment.ProcessorCount + 2));
    }

    static async IAsyncEnumerable<int> Numbers(int count, Action? read = null)
    {
        for (var i = 0; i < count; i++)
        {
            read?.Invoke();
            yield return i;
        }

        await Task.CompletedTask;
    }
}
