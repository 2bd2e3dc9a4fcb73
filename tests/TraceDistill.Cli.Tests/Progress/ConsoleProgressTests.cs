using System.Text.RegularExpressions;
using Spectre.Console;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Progress;

public partial class ConsoleProgressTests
{
    readonly VirtualTime _time = new();

    [Fact]
    public void Plain_SteadyJob_SaysRateAndTimeLeftEveryTenthAndAtTheEnd()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var progress = new PlainProgress(output, _time);

        for (var done = 0; done <= 1200; done++)
        {
            progress.Progress("collect", done, 1200, "traces", done < 1200 ? null : "all kept");
            _time.Advance(TimeSpan.FromSeconds(0.05));
        }

        Assert.Equal(
            """
            collect: 120/1,200 traces · 20/s · 0:54 left
            collect: 240/1,200 traces · 20/s · 0:48 left
            collect: 360/1,200 traces · 20/s · 0:42 left
            """,
            string.Join('\n', output.ToString().Split('\n').Take(3))
        );
        Assert.EndsWith("collect: 1,200/1,200 traces · all kept\n", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(10, output.ToString().Count(letter => letter == '\n'));
    }

    [Fact]
    public void Plain_WordsWithControlCharacters_AreShownAndNotObeyed()
    {
        using var output = new StringWriter { NewLine = "\n" };

        new PlainProgress(output, _time).Message("m answers as \e[2J\ax\r\nand on");

        Assert.Equal("m answers as \\x1B[2J\\x07x\nand on\n", output.ToString());
    }

    [Fact]
    public void Plain_SlowJob_SaysSomethingEveryHalfMinute()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var progress = new PlainProgress(output, _time);

        for (var done = 0; done < 10; done++)
        {
            progress.Progress("train", done, 100_000, "steps");
            _time.Advance(TimeSpan.FromSeconds(8));
        }

        Assert.Equal(
            "train: 4/100,000 steps · 8.0 s each · 9 days left\ntrain: 8/100,000 steps · 8.0 s each · 9 days left\n",
            output.ToString()
        );
    }

    [Fact]
    public void Plain_TwoStagesAtOnce_EachKeepsItsOwnRateAndIntervals()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var progress = new PlainProgress(output, _time);

        for (var done = 0; done <= 20; done++)
        {
            progress.Progress("student: train", done, 20, "steps");
            progress.Progress("baseline: train", 2 * done, 40, "steps");
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(
            """
            student: train: 5/20 steps · 1.0/s · 0:15 left
            baseline: train: 10/40 steps · 2.0/s · 0:15 left
            student: train: 10/20 steps · 1.0/s · 0:10 left
            baseline: train: 20/40 steps · 2.0/s · 0:10 left
            """,
            string.Join('\n', output.ToString().Split('\n').Take(4))
        );
    }

    [Fact]
    public async Task Live_TwoStagesAtOnce_HaveALineEachThatComesBackAfterAMessage()
    {
        using var output = new HeardWriter();
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.Yes,
                Interactive = InteractionSupport.Yes,
                Out = new AnsiConsoleOutput(output),
            }
        );
        console.Profile.Width = 160;
        await using (var live = new LiveProgress(console, _time))
        {
            live.Progress("student: train", 5, 1500, "steps");
            live.Progress("baseline: train", 7, 1500, "steps");
            await output.Heard("baseline: train: 7/1,500 steps");
            Assert.Contains("student: train: 5/1,500 steps", output.ToString());
            live.Message("a message");
            live.Progress("student: train", 6, 1500, "steps");
            live.Progress("baseline: train", 8, 1500, "steps");
            await output.Heard("baseline: train: 8/1,500 steps");
            Assert.Contains("student: train: 6/1,500 steps", output.ToString());
        }

        Assert.Equal(["a message"], Screen.Of(output.ToString()).Where(line => line.Length > 0));
    }

    [Fact]
    public void RateEstimator_WorkOfAnEarlierRun_IsNotCountedAsSpeed()
    {
        var rate = new RateEstimator(_time);
        rate.Add(5000);
        for (var done = 5001; done <= 5020; done++)
        {
            _time.Advance(TimeSpan.FromSeconds(0.5));
            rate.Add(done);
        }

        Assert.Equal(2, rate.Rate);
        Assert.Equal(TimeSpan.FromSeconds(40), rate.TimeLeft(5020, 5100));
    }

    /// <summary>A resumed training loads for twenty seconds and then makes ten steps a second.</summary>
    [Fact]
    public void RateEstimator_LongWayToTheFirstUnit_IsNoPartOfTheSpeed()
    {
        var rate = new RateEstimator(_time);
        rate.Add(5000);
        _time.Advance(TimeSpan.FromSeconds(20));
        var told = new List<double?>();
        for (var done = 5001; done <= 5401; done++)
        {
            rate.Add(done);
            told.Add(rate.Rate);
            _time.Advance(TimeSpan.FromSeconds(0.1));
        }

        Assert.All(told.Take(200), Assert.Null);
        Assert.All(told.Skip(200), known => Assert.Equal(10, known!.Value, 0.01));
    }

    /// <summary>Sixty-four answers on their way at a time take ten seconds each and come in bursts: 6.4 a second.</summary>
    [Fact]
    public void RateEstimator_ManyUnitsAtOnce_DoesNotTakeABurstForTheSpeed()
    {
        var rate = new RateEstimator(_time);
        rate.Add(0);
        var told = new List<double>();
        for (var second = 1; second <= 60; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            rate.Add(64 * (second / 10));
            told.AddRange(rate.Rate is { } known ? [known] : []);
        }

        Assert.All(told, known => Assert.InRange(known, 6.4 / 2, 6.4 * 1.1));
        Assert.NotEmpty(told);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(80)]
    [InlineData(160)]
    public async Task Live_AnyWidth_KeepsTheActivityOnOneLine(int width)
    {
        using var output = new HeardWriter();
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.Yes,
                Interactive = InteractionSupport.Yes,
                Out = new AnsiConsoleOutput(output),
            }
        );
        console.Profile.Width = width;
        await using (var live = new LiveProgress(console, _time))
        {
            live.Progress("student: train [x]", 5, 1500, "steps", "loss 0.31 and a long remark that no narrow terminal can hold");
            for (var done = 10; done <= 15; done += 5)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                live.Progress("student: train [x]", done, 1500, "steps", "loss 0.31 and a long remark that no narrow terminal can hold");
            }

            await output.Heard("4:57 left");
        }

        var drawn = EscapeSequence().Replace(output.ToString(), "").Split('\n', '\r').Where(line => line.Trim().Length > 0).ToList();
        Assert.All(drawn, line => Assert.InRange(line.Length, 1, width));
        Assert.All(drawn, line => Assert.Contains("/1,500 steps", line));
    }

    [Fact]
    public async Task Live_MessageShorterThanTheProgress_StandsAloneOnItsLine()
    {
        using var output = new HeardWriter();
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.Yes,
                Interactive = InteractionSupport.Yes,
                Out = new AnsiConsoleOutput(output),
            }
        );
        console.Profile.Width = 160;
        await using (var live = new LiveProgress(console, _time))
        {
            live.Progress("student: train", 1500, 1500, "steps", "loss 0.31");
            await output.Heard("loss 0.31");
            live.Message("a [message]");
            live.Message("another");
        }

        Assert.Equal(["a [message]", "another"], Screen.Of(output.ToString()).Where(line => line.Length > 0));
    }

    [Theory]
    [InlineData(ColorSystemSupport.NoColors, "a⟦b [c]\nd⟧\n")]
    [InlineData(ColorSystemSupport.Standard, "\u001b[2ma\u001b[0m\u001b[32mb [c]\u001b[0m\n\u001b[32md\u001b[0m\n")]
    public async Task Live_EmphasisedStretch_IsGreenOrBetweenMarks(ColorSystemSupport colours, string shown)
    {
        using var output = new HeardWriter();
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.Yes,
                ColorSystem = colours,
                Interactive = InteractionSupport.Yes,
                Out = new AnsiConsoleOutput(output),
            }
        );
        await using (var live = new LiveProgress(console, _time))
        {
            live.Message([new("a", IsEmphasised: false), new("b [c]\nd", IsEmphasised: true)]);
        }

        Assert.Contains(shown, output.ToString().ReplaceLineEndings("\n"));
    }

    [Fact]
    public void StageObserver_StageName_StandsBeforeEveryLine()
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var observer = new StageObserver("student", new PlainProgress(output, _time), null, null, _time);

        observer.Message("hello");
        observer.Progress("train", 0, 10, "steps");
        observer.Progress("train", 10, 10, "steps");

        Assert.Equal("student: hello\nstudent: train: 10/10 steps\n", output.ToString());
    }

    [GeneratedRegex("\u001b\\[[0-9;?]*[A-Za-z]")]
    private static partial Regex EscapeSequence();
}
