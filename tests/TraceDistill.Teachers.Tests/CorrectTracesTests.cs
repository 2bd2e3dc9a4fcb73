using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests;

public sealed class CorrectTracesTests
{
    [Fact]
    public async Task Publish_CollectionWithWrongAnswers_HoldsTheCorrectOnesAndKeepsTheOthers()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        WithWrongGold(run, 4);

        var summary = await RunAsync(run, server);

        Assert.Equal((2L, 2L, 4L), (summary.Count, summary.Correct, summary.LeftOut));
        Assert.Equal(["p004", "p005"], (await run.TracesAsync()).Select(trace => trace.ProblemId));
        Assert.Equal(new TraceSelection(OnlyCorrect: true, Collected: 6, LeftOut: 4, "collected"), ShardManifest.Load(run.Out)!.Selection);
        Assert.Equal(6, ShardManifest.Load(Path.Combine(run.Out, "collected"))!.Rows);
        Assert.Contains(
            "those with a correct answer, 2 of 6 collected",
            await File.ReadAllTextAsync(Path.Combine(run.Out, "README.md"), TestTeacher.Token)
        );

        var asked = server.Requests.Count;
        Assert.Equal((2L, 0L), (await RunAsync(run, server)) is var again ? (again.Count, again.Collected) : default);
        Assert.Equal(asked, server.Requests.Count);

        var error = Assert.Throws<InvalidInputException>(() => CorrectTraces.CollectionFolder(run.Options(server.Url), run.Out));
        Assert.Contains("holds traces that were collected with it", error.Message);
    }

    [Fact]
    public async Task Folder_OfACollectionOfAllTraces_IsRefused()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 2);
        await run.RunAsync(server);

        var error = Assert.Throws<InvalidInputException>(() =>
            CorrectTraces.CollectionFolder(run.Options(server.Url) with { OnlyCorrect = true }, run.Out)
        );
        Assert.Contains("holds traces that were collected without it", error.Message);
    }

    [Fact]
    public async Task Run_ProblemsWithoutAnswers_LeavesTracesUnverifiedAndCannotPublishCorrectOnes()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 2);
        await File.WriteAllTextAsync(run.Problems, """{"id": "p", "problem": "What is 1 + 2?"}""", TestTeacher.Token);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(run, server));
        Assert.StartsWith("only_correct: none of the problems in", error.Message);

        await run.RunAsync(server, options => options with { }, SilentObserver.Instance);
        Assert.Equal(("unverified", ""), (await run.TracesAsync()) is [var trace] ? (trace.Verdict, trace.ExpectedAnswer) : default);
    }

    [Fact]
    public async Task Run_WithAnotherLayout_WritesTheSameTracesAnewAndAsksForNothing()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 5);
        await run.RunAsync(server);
        var (before, asked) = (
            (await run.TracesAsync()).ConvertAll(trace => (trace.Id, string.Join(',', trace.Logprobs!.TopIds))),
            server.Requests.Count
        );

        await run.RunAsync(server, options => options with { Layout = SoftTargetLayout.Plain });

        Assert.Equal(SoftTargetLayout.Plain, ShardManifest.Load(run.Out)!.Layout);
        Assert.Equal(before, (await run.TracesAsync()).ConvertAll(trace => (trace.Id, string.Join(',', trace.Logprobs!.TopIds))));
        Assert.Equal(asked, server.Requests.Count);
    }

    static void WithWrongGold(CollectionRun run, int count) =>
        File.WriteAllLines(
            run.Problems,
            File.ReadAllLines(run.Problems)
                .Select((line, i) => i < count ? line.Replace("\"answer\":\"", "\"answer\":\"9", StringComparison.Ordinal) : line)
        );

    static async Task<CollectSummary> RunAsync(CollectionRun run, ProtocolServer server)
    {
        var options = run.Options(server.Url) with { OnlyCorrect = true };
        var folder = CorrectTraces.CollectionFolder(options, run.Out);
        var summary = await CollectStage.RunAsync(
            options,
            folder,
            MathVerifier.Instance,
            SilentObserver.Instance,
            TestTeacher.Time(),
            TestTeacher.Token
        );
        return await CorrectTraces.PublishAsync(options, run.Out, summary, SilentObserver.Instance, TestTeacher.Token);
    }
}
