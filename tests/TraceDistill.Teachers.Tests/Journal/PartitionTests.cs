using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Journal;

public sealed class PartitionTests
{
    [Fact]
    public void Contains_AllShares_HoldEachProblemOnceAndAboutEquallyMany()
    {
        var partitions = Enumerable.Range(0, 8).Select(i => new Partition(i, 8)).ToArray();
        var counts = new int[8];
        foreach (var id in Enumerable.Range(0, 8000).Select(i => $"problem-{i}"))
        {
            counts[Assert.Single(Enumerable.Range(0, 8), i => partitions[i].Contains(id))]++;
        }

        // Binomial with mean 1000 and deviation 30.
        Assert.All(counts, count => Assert.InRange(count, 850, 1150));
    }

    [Fact]
    public void Parse_Null_IsTheWhole() => Assert.True(Partition.Parse(null).Contains("anything"));

    [Theory]
    [InlineData("8/8")]
    [InlineData("-1/8")]
    [InlineData("1")]
    [InlineData("0/0")]
    [InlineData("0/100000")]
    [InlineData("a/b")]
    public void Parse_NoPartition_SaysHowToWriteOne(string text) =>
        Assert.Contains(
            $"'{text}' is not a partition; write i/N",
            Assert.Throws<InvalidInputException>(() => Partition.Parse(text)).Message
        );

    [Fact]
    public void SampleSeed_DependsOnRunProblemAndSample_AndFitsEveryServer()
    {
        long[] seeds = [SampleSeed.Of(1, "a", 0), SampleSeed.Of(1, "a", 1), SampleSeed.Of(1, "b", 0), SampleSeed.Of(2, "a", 0)];

        Assert.Equal(4, seeds.Distinct().Count());
        Assert.All(seeds, seed => Assert.InRange(seed, 0, int.MaxValue));
        Assert.Equal(seeds[0], SampleSeed.Of(1, "a", 0));
    }
}
