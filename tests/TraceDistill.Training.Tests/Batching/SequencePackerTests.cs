using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

public sealed class SequencePackerTests
{
    [Fact]
    public void Split_Batch_KeepsTheOrderAndTheLimit()
    {
        var pieces = SequencePacker.Split([3, 4, 9, 1, 2, 2], length => length, 7);

        Assert.Equal(
            [
                [3, 4],
                [9],
                [1, 2, 2],
            ],
            pieces
        );
    }
}
