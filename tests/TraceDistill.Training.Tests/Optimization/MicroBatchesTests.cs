using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

public class MicroBatchesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(200)]
    public void Cut_SequencesOfManyLengths_HoldsEachOnceAndKeepsToTheLimit(int count)
    {
        var random = new Random(5);
        int[] lengths = [.. Enumerable.Range(0, count).Select(_ => random.Next(1, 230))];

        var pieces = MicroBatches.Cut(lengths, 500);

        Assert.Equal(Enumerable.Range(0, count), pieces.SelectMany(piece => piece).Order());
        Assert.All(pieces, piece => Assert.InRange(piece.Sum(sequence => lengths[sequence]), 1, 500));
    }

    /// <summary>Two workers, or four, have an equal share each.</summary>
    [Theory]
    [InlineData(16, 1)]
    [InlineData(17, 2)]
    [InlineData(40, 4)]
    [InlineData(100, 8)]
    [InlineData(300, 32)]
    public void Cut_EqualSequences_MakesANumberOfPiecesThatSharesEvenly(int sequences, int expected) =>
        Assert.Equal(expected, MicroBatches.Cut([.. Enumerable.Repeat(64, sequences)], 1_024).Count);

    [Fact]
    public void Cut_SequenceLongerThanTheLimit_StandsAlone()
    {
        var pieces = MicroBatches.Cut([100, 900, 120], 250);

        Assert.Equal([1], Assert.Single(pieces, piece => piece.Contains(1)));
    }
}
