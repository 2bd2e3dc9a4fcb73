using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

public sealed class PackedBatchTests
{
    [Fact]
    public void Create_TwoSequences_PredictsEachTrainedTokenFromTheOneBeforeIt()
    {
        var batch = PackedBatch.Create([new TraceTokens([10, 11, 12, 13], 2, Soft: null), new TraceTokens([20, 21], 1, Soft: null)]);

        Assert.Equal([10, 11, 12, 13, 20, 21], batch.Ids);
        Assert.Equal([4, 2], batch.Lengths);
        Assert.Equal([1, 2, 4], batch.Rows);
        Assert.Equal([12, 13, 21], batch.Targets);
        Assert.Equal([0, 0, 0, 0], batch.SoftStarts);
    }

    [Fact]
    public void Create_SoftTargets_StandWithTheirTokensAndWithoutTheirFilling()
    {
        var none = float.NegativeInfinity;
        var soft = new SoftTargets
        {
            K = 2,
            Ids = [5, 6, 7, -1],
            Logprobs = [-1, -2, -3, none],
            Tail = [-4, -5],
        };

        var batch = PackedBatch.Create([new TraceTokens([1, 2], 1, Soft: null), new TraceTokens([3, 5, 7], 1, soft)]);

        Assert.Equal([2, 5, 7], batch.Targets);
        Assert.Equal([0, 0, 2, 3], batch.SoftStarts);
        Assert.Equal([5, 6, 7], batch.SoftIds);
        Assert.Equal([-1f, -2, -3], batch.SoftLogprobs);
        Assert.Equal([-4f, -5], batch.Tails[1..]);
    }

    [Fact]
    public void Create_NothingBeforeTheFirstTrainedToken_IsRefused() =>
        Assert.Throws<ArgumentException>(() => PackedBatch.Create([new TraceTokens([1, 2], 0, Soft: null)]));
}
