using TraceDistill.Inference.Kernels;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Inference.Tests.Kernels;

public class StateMemoryTests
{
    [Theory]
    [InlineData(1 << 20, 8, 8)]
    [InlineData(3 * 2 * (70 + (3 * 48)) * 4, 8, 3)]
    [InlineData(1, 8, 1)]
    public void PageCount_MemoryAndSequences_IsWhatFitsAndIsOfUse(long bytes, int sequences, int expected)
    {
        using var memory = new StateMemory(DecoderShapes.Recurrent, bytes, sequences);

        Assert.Equal(2 * (70 + (3 * 48)) * 4, memory.PageBytes); // two layers of 70 channels and three inputs of 48
        Assert.Equal(expected, memory.PageCount);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(int.MaxValue)]
    public void PagesOf_PoolOfStates_IsOneWhateverTheLength(int tokens)
    {
        var pool = new PagePool(4, PagePool.AnyLength);

        Assert.Equal(1, pool.PagesOf(tokens));
        Assert.Equal(0, pool.WholePages(tokens - 1)); // nothing that others could read
    }

    [Fact]
    public void Clear_OneLayerOfAPage_LeavesTheOthers()
    {
        using var memory = new StateMemory(DecoderShapes.Recurrent, 1 << 20, 3);
        for (var page = 0; page < 3; page++)
        {
            for (var layer = 0; layer < 2; layer++)
            {
                memory.State(page, layer).Fill(1);
                memory.Tail(page, layer).Fill(2);
            }
        }

        memory.Clear(1, 0);

        Assert.Equal((70, 3 * 48), (memory.State(1, 0).Length, memory.Tail(1, 0).Length));
        Assert.Equal(0, memory.State(1, 0).ToArray().Sum() + memory.Tail(1, 0).ToArray().Sum());
        foreach (var (page, layer) in new[] { (0, 0), (0, 1), (1, 1), (2, 0), (2, 1) })
        {
            Assert.All(memory.State(page, layer).ToArray(), value => Assert.Equal(1, value));
            Assert.All(memory.Tail(page, layer).ToArray(), value => Assert.Equal(2, value));
        }
    }
}
