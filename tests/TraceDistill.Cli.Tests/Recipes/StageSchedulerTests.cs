using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Contracts;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

public sealed class StageSchedulerTests : IRunObserver, IDisposable
{
    readonly Dictionary<string, (StageShare Share, TaskCompletionSource<StageResult> End)> _started = [];
    readonly SemaphoreSlim _starts = new(0);
    readonly SemaphoreSlim _messages = new(0);
    readonly List<string> _told = [];
    readonly CancellationTokenSource _interruption = new();
    Func<string, IEnumerable<string>, string?> _shortage = (_, _) => null;

    public void Dispose()
    {
        _starts.Dispose();
        _messages.Dispose();
        _interruption.Dispose();
    }

    [Fact]
    public async Task Run_StagesThatDoNotNeedEachOther_ShareTheCores()
    {
        var run = RunAsync(jobs: 8, cores: 5, Side("a"), Side("b"), Side("c", "a"));

        await StartedAsync(2);
        Assert.Equal([("a", 3, false), ("b", 2, false)], [Share("a"), Share("b")]);
        End("a");
        await StartedAsync(1);

        Assert.Equal(("c", 3, false), Share("c"));
        End("b");
        End("c");
        Assert.Equal(["a", "b", "c"], (await run).Select(result => result.Stage));
    }

    [Fact]
    public async Task Run_MoreStagesThanJobs_StartAsOthersEndInTheirOrder()
    {
        var run = RunAsync(jobs: 2, cores: 1, Side("a"), Side("b"), Side("c"), Side("d"));

        await StartedAsync(2);
        End("b");
        await StartedAsync(1);
        End("a");
        await StartedAsync(1);
        End("c");
        End("d");
        await run;

        Assert.Equal(["a", "b", "c", "d"], _started.Keys.Order());
        Assert.All(_started.Values, one => Assert.Equal(1, one.Share.Cores));
    }

    [Fact]
    public async Task Run_StageBesideWhichNoneCanRun_HasAllCores()
    {
        var run = RunAsync(jobs: 8, cores: 4, Side("a"), Alone("ask", "a"), Side("b", "ask"));

        foreach (var name in new[] { "a", "ask", "b" })
        {
            await StartedAsync(1);
            Assert.Equal((name, 4, true), Share(name));
            End(name);
        }

        await run;
    }

    [Fact]
    public async Task Run_StageThatAsksAnEndpoint_WaitsForThoseThatRunAndHoldsOthersBack()
    {
        var run = RunAsync(jobs: 8, cores: 4, Side("a"), Side("b"), Alone("ask"), Alone("ask too"), Side("c", "ask"));

        await StartedAsync(2);
        End("a");
        End("b");
        await StartedAsync(1);
        Assert.Equal(("ask", 4, true), Share("ask"));
        End("ask");
        await StartedAsync(1);
        Assert.Equal(("ask too", 4, true), Share("ask too"));
        End("ask too");
        await StartedAsync(1);
        End("c");
        await run;
    }

    [Fact]
    public async Task Run_OneJob_RunsOneAfterTheOtherOnAllCores()
    {
        var run = RunAsync(jobs: 1, cores: 4, Side("a"), Side("b"));

        await StartedAsync(1);
        End("a");
        await StartedAsync(1);
        End("b");
        await run;

        Assert.Equal([("a", 4, true), ("b", 4, true)], [Share("a"), Share("b")]);
    }

    [Fact]
    public async Task Run_TooLittleMemory_WaitsUntilAnotherEndsAndLetsSmallerOnesGoFirst()
    {
        _shortage = (stage, running) => stage == "large" && running.Any() ? "memory" : null;
        var run = RunAsync(jobs: 8, cores: 4, Side("a"), Side("large"), Side("b"));

        await StartedAsync(2);
        Assert.Equal(["a", "b"], _started.Keys.Order());
        End("a");
        End("b");
        await StartedAsync(1);

        Assert.Equal(("large", 4, true), Share("large"));
        Assert.Equal(["large: waits for memory"], _told);
        End("large");
        await run;
    }

    [Fact]
    public async Task Run_SeveralFail_EndsTheOthersStartsNoneAndTellsAllFirstFirst()
    {
        var run = RunAsync(jobs: 8, cores: 4, Side("a"), Side("b"), Side("c"), Side("d", "c"));
        await StartedAsync(3);

        _started["b"].End.SetException(new StageFailure("recipe.yaml", "b", new ProcessFailure(3, "gone")));
        await ToldAsync("b: failed: gone; a, c go on to the end");
        _started["a"].End.SetException(new InvalidInputException("bad"));
        await ToldAsync("a: failed: bad; c goes on to the end");
        End("c");

        var failures = (await Assert.ThrowsAsync<AggregateException>(() => run)).InnerExceptions;
        Assert.Equal(["recipe.yaml: b: gone", "bad"], failures.Select(failure => failure.Message));
        Assert.DoesNotContain("d", _started.Keys);
    }

    [Fact]
    public async Task Run_Interrupted_StartsNoneAndSaysNothing()
    {
        var run = RunAsync(jobs: 2, cores: 2, Side("a"), Side("b"), Side("c"));
        await StartedAsync(2);

        await _interruption.CancelAsync();
        End("a");
        _started["b"].End.SetException(new StageFailure("recipe.yaml", "b", new ProcessFailure(130, "interrupted")));

        await Assert.ThrowsAnyAsync<Exception>(() => run);
        Assert.Equal(["a", "b"], _started.Keys.Order());
        Assert.Empty(_told);
    }

    [Fact]
    public void GroupsOf_StudentBaselineAndTheirScores_TellsThoseThatRunTogether()
    {
        var groups = StageScheduler.GroupsOf([
            Alone("traces"),
            Side("student", "traces"),
            Side("baseline", "traces"),
            Side("scores", "student", "baseline"),
            Side("more", "student"),
            Alone("report", "scores"),
        ]);

        Assert.Equal(["student baseline", "scores more"], groups.Select(group => string.Join(' ', group.Select(stage => stage.Name))));
    }

    Task<IReadOnlyList<StageResult>> RunAsync(int jobs, int cores, params PlannedStage[] stages) =>
        new StageScheduler(
            jobs,
            cores,
            (stage, share, _) =>
            {
                var end = new TaskCompletionSource<StageResult>(TaskCreationOptions.RunContinuationsAsynchronously);
                lock (_started)
                {
                    _started.Add(stage.Name, (share, end));
                }

                _starts.Release();
                return end.Task;
            },
            (stage, running) => _shortage(stage.Name, running.Select(other => other.Name)),
            this
        ).RunAsync(stages, _interruption.Token);

    async Task StartedAsync(int count)
    {
        for (var i = 0; i < count; i++)
        {
            await _starts.WaitAsync(TestContext.Current.CancellationToken);
        }
    }

    void End(string stage) => _started[stage].End.SetResult(new StageResult(stage, "count", StageOutcome.Done, 0, 0, null));

    (string, int, bool) Share(string stage) => (stage, _started[stage].Share.Cores, _started[stage].Share.IsAlone);

    static PlannedStage Side(string name, params string[] reads) => SampleStages.Of(new CountVerb(), new CountOptions(), name, reads);

    static PlannedStage Alone(string name, params string[] reads) =>
        SampleStages.Of(new WriteVerb(), new WriteOptions { Text = "" }, name, reads);

    async Task ToldAsync(string text)
    {
        await _messages.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(text, _told[^1]);
    }

    void IRunObserver.Message(string text)
    {
        _told.Add(text);
        _messages.Release();
    }

    void IRunObserver.Progress(string activity, long done, long? total, string unit, string? note) =>
        Assert.Fail("a scheduler makes no progress of its own");

    void IRunObserver.Metrics(long step, IReadOnlyDictionary<string, double> values) => Assert.Fail("nor has it metrics");
}
