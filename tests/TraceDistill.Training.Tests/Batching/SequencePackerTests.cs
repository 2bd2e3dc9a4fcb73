using FsCheck;
using FsCheck.Xunit;
using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

public sealed class SequencePackerTests
{
    [Property(MaxTest = 100)]
    public void Batches_OfThreeEpochs_HoldEverySequenceOnceAnEpochWithinTheLimit(NonEmptyArray<PositiveInt> sizes, PositiveInt limit, int seed)
    {
        int[] lengths = [.. sizes.Get.Select(size => size.Get)];
        var batches = SequencePacker.Batches(lengths, limit.Get, seed).Take(3 * lengths.Length + 1).ToList();
        var order = batches.SelectMany(batch => batch).Take(3 * lengths.Length).ToList();

        Assert.All(batches, batch => Assert.True(batch.Length == 1 || batch.Sum(index => lengths[index]) <= limit.Get));
        Assert.All(order.Chunk(lengths.Length), epoch => Assert.Equal(Enumerable.Range(0, lengths.Length), epoch.Order()));
        Assert.Equal(batches, SequencePacker.Batches(lengths, limit.Get, seed).Take(batches.Count));
    }

    [Fact]
    public void Batches_OtherEpochsAndSeeds_HaveOtherOrders()
    {
        var lengths = Enumerable.Repeat(1, 50).ToArray();
        var epochs = SequencePacker.Batches(lengths, 50, seed: 3).Take(2).ToArray();

        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.NotEqual(epochs[0], SequencePacker.Batches(lengths, 50, seed: 4).First());
        Assert.NotEqual(Enumerable.Range(0, 50), epochs[0]);
    }

    [Fact]
    public void Split_Batch_KeepsTheOrderAndTheLimit()
    {
        var pieces = SequencePacker.Split([3, 4, 9, 1, 2, 2], length => length, 7);

        Assert.Equal([[3, 4], [9], [1, 2, 2]], pieces);
    }

    /// <summary>Ten sequences of five tokens, two a batch: five batches an epoch.</summary>
    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 10)]
    [InlineData(0.25, 2)]
    [InlineData(1.01, 6)]
    public void BatchesOf_Epochs_AreEnoughToHoldAllSequencesThatOften(double epochs, int batches) =>
        Assert.Equal(batches, SequencePacker.BatchesOf(epochs, [.. Enumerable.Repeat(5, 10)], batchTokens: 10, seed: 3));
}
