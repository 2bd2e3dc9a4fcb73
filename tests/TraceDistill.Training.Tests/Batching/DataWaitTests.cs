using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

public sealed class DataWaitTests
{
    readonly VirtualTime _time = new();

    /// <summary>
    /// Four batches after 3, 1, 0 and 2 seconds, and steps of 7, 4, 5 and 2: 6 of 24 seconds, of the last two steps 2 of 9.
    /// </summary>
    [Fact]
    public void Watch_StepsBetweenBatches_CountsTheTimeUntilABatchIsThereAlone()
    {
        // A training restores its checkpoint before it asks for data.
        Pass(100);
        var wait = new DataWait(_time);
        var shares = new List<double>();
        Pass(100);

        foreach (var (index, step) in wait.Watch(Batches((3, 7), (1, 4), (0, 5), (2, 2))).Index())
        {
            Pass(step);
            if (index % 2 == 1)
            {
                shares.Add(wait.TakeShare());
            }
        }

        Assert.Equal([4.0 / 15, 2.0 / 9], shares);
        Assert.Equal(6.0 / 24, wait.Share);
    }

    /// <summary>An evaluation after the last step is time of the training as well.</summary>
    [Fact]
    public void Share_TimeAfterTheLastBatch_CountsAsNotWaited()
    {
        var wait = new DataWait(_time);

        Assert.Single(wait.Watch(Batches((1, 0))));
        Pass(3);

        Assert.Equal(0.25, wait.Share);
    }

    [Fact]
    public void Share_NoTimePassed_IsZero()
    {
        var wait = new DataWait(_time);

        Assert.Equal((0, 0), (wait.Share, wait.TakeShare()));
        Assert.Equal(2, wait.Watch(Batches((0, 0), (0, 0))).Count());
        Assert.Equal((0, 0), (wait.Share, wait.TakeShare()));
    }

    /// <summary>Seconds that each step takes, given out after the seconds that reading takes.</summary>
    IEnumerable<int> Batches(params (int Reading, int Step)[] batches)
    {
        foreach (var (reading, step) in batches)
        {
            Pass(reading);
            yield return step;
        }
    }

    void Pass(int seconds) => _time.Advance(TimeSpan.FromSeconds(seconds));
}
