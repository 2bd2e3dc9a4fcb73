using TraceDistill.Text.Errors;
using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

public sealed class BatchStreamTests
{
    static readonly int[][] Lengths = NumberedSequences.RandomLengths(groups: 20, rows: 40);

    /// <summary>Windows of four groups, a batch of about five sequences.</summary>
    static BatchPlan Plan(NumberedSequences sequences) =>
        new([sequences.Set()], 100, seed: 5, bufferBytes: 150 * NumberedSequences.SequenceBytes);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(8)]
    public void From_AnyNumberOfThreadsAndAnyTiming_GivesThePlannedBatches(int threads)
    {
        var random = new Random(1);
        var sequences = new NumberedSequences(Lengths, _ => Spin(random.Next(200_000)));
        var plan = Plan(sequences);

        var batches = NumberedSequences.Names(new BatchStream(plan, threads).From(0, TestContext.Current.CancellationToken)).Take(400);

        Assert.Equal(plan.Batches().Take(400).Select(batch => batch.Sequences.Select(step => (step.Group, step.Row))), batches);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(57)]
    [InlineData(150)]
    [InlineData(333)]
    public void From_ALaterUpdate_GoesOnWithTheVeryNextBatch(int update)
    {
        var whole = NumberedSequences
            .Names(new BatchStream(Plan(new NumberedSequences(Lengths))).From(0, TestContext.Current.CancellationToken))
            .Take(update + 100)
            .Skip(update);

        Assert.Equal(
            whole,
            NumberedSequences
                .Names(
                    new BatchStream(Plan(new NumberedSequences(Lengths)), threads: 2).From(update, TestContext.Current.CancellationToken)
                )
                .Take(100)
        );
    }

    /// <summary>
    /// Twenty groups are gone through once in about 150 batches; to go on after ten times as many, two windows are read and not ten epochs.
    /// </summary>
    [Fact]
    public void From_ALaterUpdate_ReadsNothingOfWhatIsPast()
    {
        var sequences = new NumberedSequences(Lengths);

        _ = new BatchStream(Plan(sequences)).From(1_500, TestContext.Current.CancellationToken).First();

        Assert.InRange(sequences.Reads.Count, 4, 10);
    }

    [Fact]
    public void From_ASetThatFits_ReadsEachGroupOnce()
    {
        var sequences = new NumberedSequences(Lengths);

        _ = new BatchStream(new BatchPlan([sequences.Set()], 100, seed: 5), threads: 2)
            .From(0, TestContext.Current.CancellationToken)
            .Take(1_000)
            .Count();

        Assert.Equal(Enumerable.Range(0, 20), sequences.Reads.Order());
    }

    /// <summary>In the middle of the third epoch over 800 sequences.</summary>
    [Fact]
    public void From_ALargeSet_KeepsTheSequencesOfTheBufferAlone()
    {
        var sequences = new NumberedSequences(Lengths);

        Assert.InRange(CountAlive(sequences, update: 0, batches: 400), 20, MostAlive);
        Assert.True(sequences.GivenOut.Count > 1_500);
    }

    /// <summary>
    /// From all over a window of 28 batches: what was learned from before has gone, though its groups are read whole once more.
    /// </summary>
    [Fact]
    public void From_ALateUpdateOfALargeSet_KeepsTheSequencesOfTheBufferAlone() =>
        Assert.All(Enumerable.Range(400, 30), update =>
            Assert.InRange(CountAlive(new NumberedSequences(Lengths), update, batches: 1), 20, MostAlive)
        );

    /// <summary>A shard that is damaged far behind costs nothing of what is before it.</summary>
    [Fact]
    public void From_AGroupThatCannotBeRead_FailsAtTheFirstBatchThatNeedsIt()
    {
        var bad = Plan(new NumberedSequences(Lengths)).Batches().Skip(100).First().Sequences.First().Group;
        var first = Plan(new NumberedSequences(Lengths))
            .Batches()
            .Index()
            .First(batch => batch.Item.Sequences.Any(step => step.Group == bad))
            .Index;
        var stream = new BatchStream(
            Plan(new NumberedSequences(Lengths, group => _ = group == bad ? throw new InvalidInputException("damaged") : 0)),
            threads: 2
        );

        using var batches = stream.From(0, TestContext.Current.CancellationToken).GetEnumerator();
        for (var i = 0; i < first; i++)
        {
            Assert.True(batches.MoveNext());
        }

        Assert.Equal("damaged", Assert.Throws<InvalidInputException>(() => batches.MoveNext()).Message);
    }

    /// <summary>A set of no sequence has no order: whoever waits for a batch is told, and does not wait without end.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void From_APlanThatFails_FailsAtTheBatch(int threads)
    {
        var plan = new BatchPlan([new SequenceSet([]), new NumberedSequences(Lengths).Set()], 100, seed: 5);
        using var batches = new BatchStream(plan, threads).From(0, TestContext.Current.CancellationToken).GetEnumerator();

        Assert.ThrowsAny<Exception>(() => batches.MoveNext());
    }

    /// <summary>A folder on another machine may not answer for minutes.</summary>
    [Fact]
    public void Next_CancelledWhileAGroupIsRead_WaitsNoLonger()
    {
        using var cancellation = new CancellationTokenSource();
        using var released = new ManualResetEventSlim();
        var sequences = new NumberedSequences(Lengths, _ =>
        {
            cancellation.Cancel();
            released.Wait(TestContext.Current.CancellationToken);
        });
        using var reading = new BatchReading(Plan(sequences), update: 0, threads: 1);

        Assert.Null(reading.Next(cancellation.Token));

        released.Set();
    }

    /// <summary>
    /// After a part u of a window of four groups 1 − u of it is left, and of the next one ⌈4u / 0.8⌉ groups are read: 1.4 windows
    /// of 150 sequences at most, just behind u = 0.6. Ahead of the training are up to seven batches of about five.
    /// </summary>
    const int MostAlive = (150 * 14 / 10) + (7 * 5);

    /// <summary>Counts the sequences that are in memory after some batches.</summary>
    static int CountAlive(NumberedSequences sequences, long update, int batches)
    {
        using var stream = new BatchStream(Plan(sequences), threads: 2).From(update, TestContext.Current.CancellationToken).GetEnumerator();
        for (var i = 0; i < batches; i++)
        {
            stream.MoveNext();
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return sequences.GivenOut.Count(sequence => sequence.IsAlive);
    }

    static void Spin(int iterations)
    {
        for (var i = 0; i < iterations; i++)
        {
            Thread.SpinWait(1);
        }
    }
}
