using System.Collections.Concurrent;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class MissingTracesTests
{
    const string Poison = "What is 7 + 2?";
    const string TooLong =
        """{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens","type":"BadRequestError","code":400}""";

    [Fact]
    public async Task RunAsync_ProblemThatAlwaysFails_NamesItWhenTheTimeIsUpAndKeepsTheOthers()
    {
        var isPoisonous = true;
        var asked = new ConcurrentQueue<bool>();
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                asked.Enqueue(IsPoison(request));
                return isPoisonous && IsPoison(request)
                    ? Replies.Error(500, "out of range")(context, request)
                    : Replies.Sum(context, request);
            }
        );
        using var run = new CollectionRun(problems: 12);
        var observer = new RecordingObserver();

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => run.RunAsync(server, observer: observer));

        Assert.IsNotType<TeacherUnavailableException>(error);
        Assert.StartsWith("1 of 12 traces is missing: p007: ", error.Message);
        Assert.Contains("out of range", error.Message);
        Assert.Contains(observer.Messages, message =>
            message.StartsWith("1 sample failed, to be asked for again", StringComparison.Ordinal)
        );
        Assert.Null(ShardManifest.Load(run.Out));

        // In half an hour, again and again, though with pauses.
        Assert.InRange(asked.Count(isPoison => isPoison), 30, 500);

        isPoisonous = false;
        var before = asked.Count;
        var summary = await run.RunAsync(server);
        Assert.Equal((12, 1, null), (summary.Count, summary.Collected, summary.StoppedBy));
        Assert.Single(asked.Skip(before), isPoison => isPoison);
    }

    [Fact]
    public async Task RunAsync_ProblemThatFailsForAWhile_IsAskedForAgainAfterAllOthers()
    {
        var order = new ConcurrentQueue<bool>();
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                order.Enqueue(IsPoison(request));
                return IsPoison(request) && order.Count(isPoison => isPoison) <= 12
                    ? Replies.Status(500)(context, request)
                    : Replies.Sum(context, request);
            }
        );
        using var run = new CollectionRun(problems: 12);

        var summary = await run.RunAsync(server, options => options with { Concurrency = 1 });

        Assert.Equal((12, 12, 0), (summary.Count, summary.Collected, summary.Failed));
        Assert.True(order.Last());
    }

    [Fact]
    public async Task RunAsync_MissingTracesThatMayBe_ArePublishedWithoutAndCountedInTheManifest()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) => IsPoison(request) ? Replies.Status(500)(context, request) : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        await Assert.ThrowsAsync<ExternalFailureException>(() =>
            run.RunAsync(server, options => options with { RetryFor = 0, AllowMissing = 0.08 })
        );
        var summary = await run.RunAsync(server, options => options with { RetryFor = 0, AllowMissing = 0.1 });

        Assert.Equal((11, 1, 0, null), (summary.Count, summary.Missing, summary.Collected, summary.StoppedBy));
        Assert.Contains("1 missing", summary.ToString());
        Assert.Equal(new MissingTraces(1, 0.1), ShardManifest.Load(run.Out)!.Missing);
    }

    [Theory]
    [InlineData(400, TooLong)]
    [InlineData(400, """{"error":{"message":"too many tokens","type":"invalid_request_error","code":"context_length_exceeded"}}""")]
    [InlineData(
        400,
        """{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size","type":"exceed_context_size_error"}}"""
    )]
    [InlineData(
        400,
        """{"object":"error","message":"The input (5000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","code":400}"""
    )]
    [InlineData(
        422,
        """{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4488 `inputs` tokens and 512 `max_new_tokens`","error_type":"validation"}"""
    )]
    public async Task RunAsync_PromptBeyondTheContext_IsALabelledRowAndNotAskedForAgain(int status, string body)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) => IsPoison(request) ? Replies.Status(status, body: body)(context, request) : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 12);
        var observer = new RecordingObserver();

        var summary = await run.RunAsync(server, observer: observer);

        Assert.Equal((12, 12, 11, 1, null), (summary.Count, summary.Collected, summary.Correct, summary.Refusal, summary.StoppedBy));
        var row = (await run.TracesAsync())[7];
        Assert.Equal(
            ("p007", "context_length", "", 0, "unverified"),
            (row.ProblemId, row.FinishReason, row.Generation, row.CompletionTokens, row.Verdict)
        );
        Assert.Contains(observer.Messages, message =>
            message.StartsWith("too long for the teacher's context: 1 prompt,", StringComparison.Ordinal)
        );

        var asked = server.Requests.Count;
        await run.RunAsync(server);
        Assert.Equal(asked, server.Requests.Count);
        await run.RunAsync(server, options => options with { Reask = [TraceFlaw.Refusal] });
        Assert.Single(server.Requests.Skip(asked), IsPoison);
    }

    [Fact]
    public async Task RunAsync_NoPromptFits_SaysSoAndKeepsNoRows()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                CollectionRun.IsProbe(request) ? Replies.Sum(context, request) : Replies.Status(400, body: TooLong)(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(server));

        Assert.StartsWith("not one prompt fits into the teacher's context", error.Message);
        Assert.Contains("max_tokens", error.Message);
        Assert.Null(ShardManifest.Load(run.Out));
    }

    [Fact]
    public async Task RunAsync_OnePromptTooLongAndTheOthersFail_BlamesTheFailureAndNotTheLengths()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                CollectionRun.IsProbe(request) ? Replies.Sum(context, request)
                : IsPoison(request) ? Replies.Status(400, body: TooLong)(context, request)
                : Replies.Error(500, "out of range")(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            run.RunAsync(server, options => options with { RetryFor = 0, Concurrency = 1 })
        );

        Assert.Contains("not one trace was collected", error.Message);
        Assert.DoesNotContain("not one prompt fits", error.Message);
    }

    [Fact]
    public async Task RunAsync_EveryRequestRefused_StopsAtOnce()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                CollectionRun.IsProbe(request)
                    ? Replies.Sum(context, request)
                    : Replies.Error(400, "top_p: no such thing")(context, request)
        );
        using var run = new CollectionRun(problems: 200);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(server));

        // Those under way when the twentieth failed may be counted first.
        Assert.Matches("^2[0-9] samples in a row failed", error.Message);
        Assert.InRange(server.Requests.Count(request => !CollectionRun.IsProbe(request)), 20, 40);
    }

    [Fact]
    public async Task RunAsync_FolderRemovedMeanwhile_StopsWithOneLine()
    {
        using var run = new CollectionRun(problems: 200);
        var served = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                if (Interlocked.Increment(ref served) == 20)
                {
                    Directory.Delete(run.Out, recursive: true);
                }

                return Replies.Sum(context, request);
            }
        );

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => run.RunAsync(server));

        Assert.Contains("is gone", error.Message);
        Assert.InRange(server.Requests.Count, 20, 60);
        Assert.False(Directory.Exists(run.Out));
    }

    [Fact]
    public async Task RunAsync_ModelNotFoundForAWhile_IsWaitedForOnceTheEndpointHasAnswered()
    {
        var refused = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                IsPoison(request) && Interlocked.Increment(ref refused) <= 2
                    ? Replies.Error(404, "The model teacher does not exist", "model_not_found")(context, request)
                    : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        Assert.Equal((12, 12), await run.RunAsync(server) is var summary ? (summary.Count, summary.Collected) : default);
        Assert.Equal(3, refused);
    }

    [Fact]
    public async Task RunAsync_ModelNotFoundForGood_IsNamedOnceTheTimeIsUpAndTheRestIsKept()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                IsPoison(request)
                    ? Replies.Error(404, "The model teacher does not exist", "model_not_found")(context, request)
                    : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 12);

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            run.RunAsync(server, options => options with { RetryFor = 0 })
        );

        Assert.StartsWith("1 of 12 traces is missing: p007: ", error.Message);
        Assert.Contains("answered before and is not found now (404): The model teacher does not exist", error.Message);
    }

    static bool IsPoison(string request) => request.Contains(Poison, StringComparison.Ordinal);
}
