using System.Text.Json;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class LeftOverTests
{
    [Fact]
    public async Task RunAsync_OtherOption_NamesItAndTheTracesBeforeAnythingIsAsked()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        await run.RunAsync(server);
        var (asked, before) = (server.Requests.Count, Shards(run));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            run.RunAsync(server, options => options with { MaxTokens = 40, Seed = 6 })
        );

        Assert.Contains("holds 6 traces of other options: max_tokens was 100, is 40; seed was 5, is 6;", error.Message);
        Assert.Contains("--discard", error.Message);
        Assert.Contains("--out", error.Message);
        Assert.Equal((asked, before), (server.Requests.Count, Shards(run)));
    }

    [Fact]
    public async Task RunAsync_OtherOptionAndDiscard_AsksForAllAgainAndMixesNothing()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        var observer = new RecordingObserver();
        var first = await run.RunAsync(server);

        var summary = await run.RunAsync(server, options => options with { MaxTokens = 40, Temperature = 0.5, Discard = true }, observer);

        Assert.Equal((6, 6), (summary.Count, summary.Collected));
        Assert.Contains(observer.Messages, message =>
            message.Contains("max_tokens was 100, is 40", StringComparison.Ordinal)
            && message.EndsWith("they are discarded", StringComparison.Ordinal)
        );
        Assert.All(await run.TracesAsync(), trace => Assert.Equal(0.5, trace.Temperature));
        Assert.True(summary.Usage!.Tokens > first.Usage!.Tokens);

        // What was said once is not asked again.
        Assert.Equal(0, (await run.RunAsync(server, options => options with { MaxTokens = 40, Temperature = 0.5 })).Collected);
    }

    [Fact]
    public async Task RunAsync_UnfinishedWorkOfOtherOptions_IsNamedToo()
    {
        var isFailing = true;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                isFailing && request.Contains("What is 3 + 2?", StringComparison.Ordinal)
                    ? Replies.Error(400, "no")(context, request)
                    : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 6);
        await Assert.ThrowsAsync<ExternalFailureException>(() => run.RunAsync(server));
        isFailing = false;

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server, options => options with { MaxTokens = 40 }));

        Assert.Contains("holds 5 traces of other options: max_tokens was 100, is 40;", error.Message);
        Assert.Equal(1, (await run.RunAsync(server)).Collected);
    }

    [Fact]
    public async Task RunAsync_ProblemsGone_NamesThemAndDiscardGivesUpTheirTracesAlone()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        await run.RunAsync(server);
        File.WriteAllLines(run.Problems, File.ReadAllLines(run.Problems).Take(4));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server));
        Assert.Contains($"holds 2 traces of problems that are no longer in {run.Problems} (p004, p005)", error.Message);

        var asked = server.Requests.Count;
        var summary = await run.RunAsync(server, options => options with { Discard = true });
        Assert.Equal((4, 0, asked), (summary.Count, summary.Collected, server.Requests.Count));
        Assert.Equal(["p000", "p001", "p002", "p003"], (await run.TracesAsync()).Select(trace => trace.ProblemId));
        Assert.Equal(0, (await run.RunAsync(server)).Collected);
    }

    [Fact]
    public async Task RunAsync_FewerSamplesOrAnotherText_AreToldApart()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        await run.RunAsync(server, options => options with { SamplesPerProblem = 2 });
        var lines = File.ReadAllLines(run.Problems);
        lines[1] = JsonSerializer.Serialize(
            new
            {
                id = "p001",
                problem = "What is 2 + 1?",
                answer = "3",
            }
        );
        File.WriteAllLines(run.Problems, lines);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server));

        Assert.Contains("3 traces beyond samples_per_problem: 1", error.Message);
        Assert.Contains("1 trace of problems whose text has changed (p001)", error.Message);
    }

    [Fact]
    public async Task RunAsync_PromptEditedInItsPlace_IsAnotherPrompt()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        using var prompt = new TemporaryDirectory();
        var shipped = Path.GetDirectoryName(PromptLibrary.Default.Load("Reasoning/Solve").TemplatePath)!;
        File.Copy(Path.Combine(shipped, PromptLibrary.ConfigFile), prompt.File(PromptLibrary.ConfigFile));
        File.WriteAllText(prompt.File(PromptLibrary.TemplateFile), "<message role=\"user\">{{$problem}}</message>");
        await run.RunAsync(server, options => options with { Prompt = prompt.Path });
        File.WriteAllText(prompt.File(PromptLibrary.TemplateFile), "<message role=\"user\">With care: {{$problem}}</message>");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            run.RunAsync(server, options => options with { Prompt = prompt.Path })
        );

        Assert.Matches(@"holds 3 traces of other options: prompt was \S+ \([0-9a-f]{12}\), is \S+ \([0-9a-f]{12}\);", error.Message);
    }

    [Fact]
    public async Task RunAsync_OptionsOfOperation_AreNoDifference()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        await using var elsewhere = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        await run.RunAsync(server);

        var summary = await run.RunAsync(elsewhere, options =>
            options with
            {
                Concurrency = 1,
                AttemptTimeout = 90,
                RetryFor = 5,
                MaxTokensTotal = 1_000_000,
                ShardRows = 2,
                SamplesPerProblem = 2,
                Stream = true,
            }
        );

        Assert.Equal((6, 3), (summary.Count, summary.Collected));
    }

    [Fact]
    public async Task PreviewAsync_OtherOption_TellsHowManyTracesWouldBeAskedForAgain()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        await run.RunAsync(server);
        var before = Shards(run);

        var changed = await CollectStage.PreviewAsync(run.Options(server.Url) with { MaxTokens = 40 }, run.Out, TestTeacher.Token);
        var grown = await CollectStage.PreviewAsync(run.Options(server.Url) with { SamplesPerProblem = 2 }, run.Out, TestTeacher.Token);

        Assert.Contains("6 traces will be asked for again", changed.Describe(isDiscarded: true));
        Assert.Contains("max_tokens was 100, is 40", changed.Describe(isDiscarded: false));
        Assert.Equal("6 of 12 traces are there", grown.Describe(isDiscarded: false));
        Assert.Equal(before, Shards(run));
    }

    [Fact]
    public async Task PreviewAsync_FlawsThatAreReasked_AreNotCountedAsThere()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(TestServer.Forms.WireForms.TraceDistill));
        using var run = new CollectionRun(problems: 6);
        // Of a token or two no answer comes to its end.
        await run.RunAsync(server, options => options with { MaxTokens = 2 });

        var options = run.Options(server.Url) with { MaxTokens = 2, Reask = [TraceFlaw.Length] };
        var again = await CollectStage.PreviewAsync(options, run.Out, TestTeacher.Token);

        Assert.Equal((6, 0, 6), (again.Wanted, again.Present, again.Again));
        Assert.Equal("0 of 6 traces are there, and 6 others will be asked for again", again.Describe(isDiscarded: false));
    }

    static string Shards(CollectionRun run) =>
        string.Join("\n", ShardManifest.Load(run.Out)!.Shards.Select(shard => $"{shard.File} {shard.Sha256}"));
}
