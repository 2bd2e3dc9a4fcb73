using TraceDistill.Teachers.Collection;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class BlockCutTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(7, 3)]
    public void Every_SoManyRows_PutsEachTraceInOneBlock(int traces, int blocks) => AssertCovers(BlockCut.Every(3), traces, blocks);

    [Fact]
    public void At_ShardsOfAnotherSet_HasTheirRows()
    {
        int[][] groups =
        [
            [3, 2],
            [1],
            [1, 1, 1],
        ];
        var cut = BlockCut.At(groups);

        AssertCovers(cut, 9, 3);
        Assert.Equal([5, 1, 3], Enumerable.Range(0, 3).Select(block => cut.Positions(block, 9).Count()));
    }

    static void AssertCovers(BlockCut cut, int traces, int blocks)
    {
        Assert.Equal(blocks, cut.Count(traces));
        var all = Enumerable
            .Range(0, blocks)
            .SelectMany(block => cut.Positions(block, traces).Select(position => (block, position)))
            .ToList();
        Assert.Equal(Enumerable.Range(0, traces), all.Select(entry => entry.position));
        Assert.All(all, entry => Assert.Equal(entry.block, cut.Of(entry.position)));
    }
}
