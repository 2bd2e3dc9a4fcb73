using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests;

public sealed class SelectedTracesTests
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

        var error = Assert.Throws<InvalidInputException>(() => SelectedTraces.CollectionFolder(run.Options(server.Url), run.Out));
        Assert.Contains("holds a selection of traces, made with only_correct or min_agreement", error.Message);
    }

    /// <summary>
    /// Four samples of three problems, whose answers nobody knows: all agree on the first; three do on the second, one of them in other
    /// words; of the third two say one thing and two another.
    /// </summary>
    [Theory]
    [InlineData(0.75, 7, 2)]
    [InlineData(1.0, 4, 1)]
    public async Task Publish_SamplesThatAgree_HoldsThoseThatGiveTheAnswerAgreedOn(double least, int rows, int agreed)
    {
        await using var server = await Disagreeing();
        using var run = new CollectionRun(problems: 3);
        WithoutAnswers(run);
        var observer = new RecordingObserver();
        GenerateOptions Change(GenerateOptions options) => options with { MinAgreement = least, SamplesPerProblem = 4 };

        var summary = await RunAsync(run, server, Change, observer);

        Assert.Equal((rows, 12L - rows), (summary.Count, summary.LeftOut));
        var traces = await run.TracesAsync();
        Assert.Equal(4, traces.Count(trace => trace.ProblemId == "p000"));
        Assert.Equal(rows - 4, traces.Count(trace => trace.ProblemId == "p001"));
        Assert.All(traces.Where(trace => trace.ProblemId == "p001"), trace => Assert.Contains("3", trace.Answer));
        Assert.Equal(
            new TraceSelection(OnlyCorrect: false, Collected: 12, LeftOut: 12 - rows, "collected", least),
            ShardManifest.Load(run.Out)!.Selection
        );
        Assert.Contains($"those whose answer at least {least} of the problem's samples give, {rows} of 12 collected", Card(run));
        Assert.Contains(observer.Messages, line =>
            line.StartsWith($"of 3 problems {agreed} have an answer that", StringComparison.Ordinal)
        );

        // Another fraction asks for nothing; of two answers that are equally frequent the first one counts.
        var asked = server.Requests.Count;
        Assert.Equal(4 + 3 + 2, (await RunAsync(run, server, options => Change(options) with { MinAgreement = 0.25 })).Count);
        Assert.Equal(asked, server.Requests.Count);
    }

    /// <summary>Where an answer is known it decides, and the samples where none is.</summary>
    [Fact]
    public async Task Publish_CorrectOnesAndThoseThatAgree_GoesByTheAnswerWhereItIsKnown()
    {
        await using var server = await Disagreeing();
        using var run = new CollectionRun(problems: 3);
        WithoutAnswers(run, 2); // that of p002 is known, and two of its samples give it

        await RunAsync(run, server, options => options with { OnlyCorrect = true, MinAgreement = 0.75, SamplesPerProblem = 4 });

        Assert.Equal(
            [("p000", 4), ("p001", 3), ("p002", 2)],
            (await run.TracesAsync()).GroupBy(trace => trace.ProblemId).Select(group => (group.Key, group.Count())).Order()
        );
    }

    /// <summary>Adds up, but for the first sample that is asked for of 1 + 2, and for two of 2 + 2.</summary>
    static Task<ProtocolServer> Disagreeing()
    {
        var asked = new ConcurrentDictionary<string, int>();
        return ProtocolServer.StartAsync(
            (context, request) =>
            {
                var problem = new[] { "What is 0 + 2?", "What is 1 + 2?", "What is 2 + 2?" }.FirstOrDefault(request.Contains);
                var number = problem is null ? 0 : asked.AddOrUpdate(problem, 1, (_, before) => before + 1);
                var answer = (problem, number) switch
                {
                    ("What is 0 + 2?", _) => "The answer is 2.",
                    ("What is 1 + 2?", 1) => "The answer is 5.",
                    ("What is 1 + 2?", 2) => "The answer is $3.0$.",
                    ("What is 1 + 2?", _) => "The answer is 3.",
                    ("What is 2 + 2?", 1 or 2) => "The answer is 7.",
                    ("What is 2 + 2?", _) => "The answer is 4.",
                    _ => "12 + 34 is 46.",
                };
                return Replies.Completion(answer)(context, request);
            }
        );
    }

    static void WithoutAnswers(CollectionRun run, int count = int.MaxValue) =>
        File.WriteAllLines(
            run.Problems,
            File.ReadAllLines(run.Problems).Select((line, i) => i < count ? Regex.Replace(line, "\"answer\":\"\\d+\",", "") : line)
        );

    static string Card(CollectionRun run) => File.ReadAllText(Path.Combine(run.Out, "README.md"));

    [Fact]
    public async Task Folder_OfACollectionOfAllTraces_IsRefused()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 2);
        await run.RunAsync(server);

        var error = Assert.Throws<InvalidInputException>(() =>
            SelectedTraces.CollectionFolder(run.Options(server.Url) with { OnlyCorrect = true }, run.Out)
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

    static async Task<CollectSummary> RunAsync(
        CollectionRun run,
        ProtocolServer server,
        Func<GenerateOptions, GenerateOptions>? change = null,
        IRunObserver? observer = null
    )
    {
        var options = run.Options(server.Url);
        options = change?.Invoke(options) ?? options with { OnlyCorrect = true };
        var folder = SelectedTraces.CollectionFolder(options, run.Out);
        var summary = await CollectStage.RunAsync(
            options,
            folder,
            MathVerifier.Instance,
            SilentObserver.Instance,
            TestTeacher.Time(),
            TestTeacher.Token
        );
        return await SelectedTraces.PublishAsync(
            options,
            run.Out,
            summary,
            MathVerifier.Instance,
            observer ?? SilentObserver.Instance,
            TestTeacher.Token
        );
    }
}
