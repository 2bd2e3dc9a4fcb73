using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class CollectStageTests
{
    [Fact]
    public async Task RunAsync_Streamed_CollectsTheSameTraces()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(TestServer.Forms.WireForms.TraceDistill));
        using var whole = new CollectionRun(problems: 12);
        using var streamed = new CollectionRun(problems: 12);
        await whole.RunAsync(server);
        var asked = server.Requests.Count;

        var summary = await streamed.RunAsync(server, options => options with { Stream = true });

        Assert.Equal((12, 12), (summary.Count, summary.Correct));
        Assert.All(server.Requests.Skip(asked).Where(request => !CollectionRun.IsProbe(request)), request =>
            Assert.Contains("\"stream\":true", request)
        );
        Assert.Equivalent((await whole.TracesAsync()).Select(Timeless), (await streamed.TracesAsync()).Select(Timeless), strict: true);

        static Trace Timeless(Trace trace) => trace with { LatencyMs = 0, CreatedAt = default };
    }

    /// <summary>The data set says what it has, not what was asked for.</summary>
    [Fact]
    public async Task RunAsync_FewerAlternativesThanAskedFor_AreRecordedAsManyAsThereAre()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Json(WireJson.Completion("46", 2)));
        using var run = new CollectionRun(problems: 3);

        var summary = await run.RunAsync(server, options => options with { TopLogprobs = 3 });

        Assert.Equal((3, 2), (summary.Count, summary.TopK));
        Assert.Equal((2, 2), (ShardManifest.Load(run.Out)!.Dataset.TopK, ShardManifest.Load(run.Out)!.Capabilities!.TopLogprobs));
        Assert.All(await run.TracesAsync(), trace =>
            Assert.Equal((2, 2 * trace.Logprobs!.Count), (trace.Logprobs.K, trace.Logprobs.TopIds.Length))
        );
    }

    /// <summary>What was granted at first is what all traces have: the same as of an endpoint that never granted more.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_EndpointThatGrantsMoreLater_GoesOnWithAsManyAsAreThere(bool isInterrupted)
    {
        var granted = 2;
        await using var server = await ProtocolServer.StartAsync((context, request) => SumAsync(context, request, granted));
        using var run = new CollectionRun(problems: 8);
        using var whole = new CollectionRun(problems: 8);
        await whole.RunAsync(server);
        if (isInterrupted)
        {
            var budget = await run.RunAsync(server, options => options with { MaxTokensTotal = 400, Concurrency = 1 });
            Assert.Equal("budget", budget.StoppedBy);
        }
        else
        {
            await run.RunAsync(server, options => options with { Limit = 3 });
        }

        granted = 3;
        var summary = await run.RunAsync(server);

        Assert.Equal((8, 2), (summary.Count, summary.TopK));
        Assert.InRange(summary.Collected, 1, 7);
        Assert.Equal(
            (await whole.TracesAsync()).Select(trace => (trace.Id, string.Join(' ', trace.Logprobs!.TopIds))),
            (await run.TracesAsync()).Select(trace => (trace.Id, string.Join(' ', trace.Logprobs!.TopIds)))
        );
    }

    /// <summary>Places that stay empty would make two kinds of traces of one data set.</summary>
    [Fact]
    public async Task RunAsync_EndpointThatGrantsFewerLater_IsRefusedAndNothingMixed()
    {
        var granted = 3;
        await using var server = await ProtocolServer.StartAsync((context, request) => SumAsync(context, request, granted));
        using var run = new CollectionRun(problems: 6);
        await run.RunAsync(server, options => options with { Limit = 3 });

        granted = 2;
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server));

        Assert.Contains("top_k 3 there, 2 now", error.Message, StringComparison.Ordinal);
        Assert.Equal(3, (await run.TracesAsync()).Count);
        granted = 3;
        Assert.Equal((6, 3), (await run.RunAsync(server)) is var summary ? (summary.Count, summary.TopK) : default);
        Assert.All(await run.TracesAsync(), trace => Assert.DoesNotContain(-1, trace.Logprobs!.TopIds));
    }

    static Task SumAsync(HttpContext context, string request, int granted) =>
        Replies.Json(
            WireJson.Completion(
                TestServer
                    .Teaching.ScriptedTeachers.Sum(TestServer.Teaching.TeacherRequest.Parse(request) with { MaxTokens = int.MaxValue })
                    .Text,
                granted
            )
        )(context, request);

    [Fact]
    public async Task RunAsync_AllProblems_PublishesTheirTracesInOrder()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 12);
        var observer = new RecordingObserver();

        var summary = await run.RunAsync(server, options => options with { SamplesPerProblem = 2 }, observer);

        var traces = await run.TracesAsync();
        Assert.Equal(
            from problem in Enumerable.Range(0, 12)
            from sample in Enumerable.Range(0, 2)
            select ($"p{problem:000}", sample),
            traces.Select(trace => (trace.ProblemId, trace.SampleIndex))
        );
        Assert.All(traces, trace => Assert.Equal(("correct", "stop", "teacher"), (trace.Verdict, trace.FinishReason, trace.Teacher)));
        Assert.All(traces, trace => Assert.Equal([5, 6], trace.PromptTokenIds));
        Assert.Equal("even", traces[0].Source);
        Assert.Equal(24, traces.Select(trace => trace.Id).Distinct().Count());
        Assert.Equal(24, traces.Select(trace => trace.Seed).Distinct().Count());
        Assert.False(File.Exists(Path.Combine(run.Out, "journal.db")));

        var manifest = ShardManifest.Load(run.Out)!;
        Assert.Equal(
            new DatasetDescription
            {
                Teacher = "teacher",
                PromptFunction = "Reasoning/Solve",
                TokenIdentity = TokenIdentity.Ids,
                TopK = 3,
            },
            manifest.Dataset
        );
        Assert.Equal(
            (24, 24, traces.Sum(trace => trace.CompletionTokens), manifest.Bytes),
            (summary.Count, summary.Correct, summary.Tokens, summary.Bytes)
        );
        Assert.Equal((double)summary.Bytes / summary.Tokens, summary.BytesPerToken);
        Assert.Equal(
            (24, 24L, "100"),
            (observer.Steps.Last().Done, observer.Steps.Last().Total, observer.Steps.Last().Note!.Split(", ")[1][..3])
        );
    }

    [Fact]
    public async Task RunAsync_Again_AsksForNothingAndChangesNothing()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 5);
        var first = await run.RunAsync(server);
        var before = Files(run.Out);
        var asked = server.Requests.Count;

        var second = await run.RunAsync(server);

        Assert.Equal(first with { Collected = 0, Usage = second.Usage }, second);
        Assert.Equal(asked, server.Requests.Count);
        Assert.Equal(before, Files(run.Out));
    }

    [Fact]
    public async Task RunAsync_MoreSamplesOrProblemsLater_AsksForTheNewOnesAlone()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        await run.RunAsync(server, options => options with { Limit = 3 });

        var summary = await run.RunAsync(server, options => options with { SamplesPerProblem = 2 });

        Assert.Equal((12, 9), (summary.Count, summary.Collected));
        Assert.Equal(12, CollectionRun.Seeds(server.Requests).Distinct().Count());
        Assert.Equal(12, CollectionRun.Seeds(server.Requests).Count());
        Assert.Equal([0, 1, 0, 1], (await run.TracesAsync()).Take(4).Select(trace => trace.SampleIndex));
    }

    [Fact]
    public async Task RunAsync_AnyConcurrency_GivesTheSameBytes()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var one = new CollectionRun(problems: 20);
        using var many = new CollectionRun(problems: 20);

        await one.RunAsync(server, options => options with { Concurrency = 1 });
        await many.RunAsync(server, options => options with { Concurrency = 16 });

        Assert.Equal(Files(one.Out), Files(many.Out));
    }

    [Fact]
    [Trait("Mistake", "one failed sample dropping its siblings")]
    public async Task RunAsync_OneSampleRefused_KeepsItsSiblingsAndAsksForItAloneNextTime()
    {
        var refuse = true;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                refuse && request.Contains("What is 7 + 2?", StringComparison.Ordinal)
                    ? Replies.Error(400, "strange")(context, request)
                    : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => run.RunAsync(server));
        Assert.StartsWith("1 of 12 traces is missing: p007: ", error.Message);
        Assert.Contains("strange", error.Message);
        Assert.Contains("allow_missing: 0.084", error.Message);
        Assert.Null(ShardManifest.Load(run.Out));

        refuse = false;
        var summary = await run.RunAsync(server);
        Assert.Equal((12, 1), (summary.Count, summary.Collected));
        Assert.Equal("p007", (await run.TracesAsync())[7].ProblemId);
    }

    [Fact]
    public async Task RunAsync_TeacherRefusesMidway_KeepsWhatIsDone()
    {
        var served = 0;
        var revoked = true;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                Interlocked.Increment(ref served) > 6 && revoked ? Replies.Status(401)(context, request) : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(server));
        Assert.Contains("--api-key-env", error.Message);

        revoked = false;
        var summary = await run.RunAsync(server);
        Assert.Equal(12, summary.Count);
        Assert.InRange(summary.Collected, 7, 11);
    }

    [Fact]
    public async Task RunAsync_NothingSucceeds_StopsLongBeforeTheEnd()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Completion("46"),
            Replies.Error(400, "the prompt holds a word that is not allowed here")
        );
        using var run = new CollectionRun(problems: 200);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(server));

        Assert.Contains("20 samples in a row failed", error.Message);
        Assert.InRange(server.Requests.Count, 20, 40);
    }

    [Fact]
    public async Task RunAsync_Stopped_KeepsWhatIsDoneAndGoesOnFromThere()
    {
        using var stop = new CancellationTokenSource();
        var served = 0;
        Func<HttpContext, string, Task> reply = Replies.Sum;
        await using var server = await ProtocolServer.StartAsync(
            async (context, request) =>
            {
                if (Interlocked.Increment(ref served) == 6)
                {
                    await stop.CancelAsync();
                }

                await (stop.IsCancellationRequested ? reply : Replies.Sum)(context, request);
            }
        );
        using var run = new CollectionRun(problems: 12);

        reply = Replies.Stall;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.RunAsync(server, stop: stop.Token));
        reply = Replies.Sum;
        var summary = await run.RunAsync(server);

        Assert.Equal(12, summary.Count);
        Assert.InRange(summary.Collected, 7, 11);
    }

    [Fact]
    public async Task RunAsync_NoLogprobs_StopsBeforeTheFirstRealRequest()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Json("""{"choices":[{"message":{"content":"x"}}]}"""));
        using var run = new CollectionRun(problems: 3);

        await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(server));

        Assert.Empty(CollectionRun.Seeds(server.Requests));
    }

    [Fact]
    public async Task RunAsync_TextAlone_IsCollectedWhereNoLogprobsAreWanted()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);

        var summary = await run.RunAsync(server, options => options with { TopLogprobs = 0 });

        Assert.Equal((3, 3), (summary.Count, summary.Correct));
        Assert.All(await run.TracesAsync(), trace => Assert.Null(trace.Logprobs));
    }

    [Fact]
    public async Task RunAsync_BytesWithoutTokenizer_SaysWhatIsMissing()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Json(
                WireJson.WithLogprobs(
                    """{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}]}"""
                )
            )
        );
        using var run = new CollectionRun(problems: 3);

        Assert.Contains("--tokenizer", (await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server))).Message);
    }

    [Fact]
    public async Task RunAsync_OtherSettingsIntoTheSameFolder_AreRefusedByName()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        await run.RunAsync(server);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            run.RunAsync(server, options => options with { Temperature = 0.5 })
        );

        Assert.Contains("holds 3 traces of other options: temperature was 1, is 0.5;", error.Message);
        Assert.Contains("--out", error.Message);
        Assert.Equal(3, (await run.TracesAsync()).Count);
    }

    [Fact]
    public async Task RunAsync_ShardsWithoutManifest_AreNotTouched()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        Directory.CreateDirectory(run.Out);
        var foreign = Path.Combine(run.Out, "train-00000-of-00001.parquet");
        await File.WriteAllTextAsync(foreign, "mine", TestTeacher.Token);

        await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server));

        Assert.Equal("mine", await File.ReadAllTextAsync(foreign, TestTeacher.Token));
    }

    [Fact]
    public async Task RunAsync_OutIsAFile_SaysSo()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        await File.WriteAllTextAsync(run.Out, "", TestTeacher.Token);

        Assert.Contains("--out", (await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server))).Message);
    }

    static List<(string Name, string Content)> Files(string folder) =>
        [
            .. Directory
                .EnumerateFiles(folder)
                .Order()
                .Select(file => (Path.GetFileName(file), Convert.ToBase64String(File.ReadAllBytes(file)))),
        ];
}
