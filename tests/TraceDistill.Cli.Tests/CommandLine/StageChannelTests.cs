using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Recipes;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.CommandLine;

public class StageChannelTests
{
    static readonly StageOrder Order = new("/run", "/run/student");
    readonly VirtualTime _time = new();

    [Fact]
    public void Progress_ManySteps_IsToldTenTimesASecondAndAtTheEnd()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var channel = new StageChannel(Order, output, _time);

        for (var step = 1; step <= 100; step++)
        {
            channel.Progress("train", step, 100, "steps");
            _time.Advance(TimeSpan.FromMilliseconds(25));
        }

        channel.Progress("save", 1, null, "files");
        var told = Events(output).Cast<StageProgress>().ToList();
        Assert.Equal([1L, 5, 9, 13], told.Take(4).Select(one => one.Done));
        Assert.Equal([97L, 100, 1], told.TakeLast(3).Select(one => one.Done));
    }

    [Fact]
    public void Result_Summary_HasTheKeysOfFiles()
    {
        using var output = new StringWriter { NewLine = "\n" };

        new StageChannel(Order, output, _time).Result(new { FinalLoss = double.NaN });

        Assert.Equal("""{"final_loss":"NaN"}""", Assert.IsType<StageDone>(Assert.Single(Events(output))).Summary!.ToJsonString());
    }

    [Fact]
    public void Message_RunIsGone_IsLostAndNothingFails() => new StageChannel(Order, new ClosedPipe(), _time).Message("hello");

    [Fact]
    public async Task WhenRunCloses_EndOfStandardInput_IsToldOnce()
    {
        var closed = new TaskCompletionSource();

        StageChannel.WhenRunCloses(new MemoryStream([1, 2, 3]), closed.SetResult);

        await closed.Task.WaitAsync(TestContext.Current.CancellationToken);
    }

    static List<StageEvent?> Events(StringWriter output) =>
        [.. output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(StageEvent.Parse)];

    sealed class ClosedPipe : StringWriter
    {
        public override void WriteLine(string? value) => throw new IOException("Broken pipe");
    }
}
