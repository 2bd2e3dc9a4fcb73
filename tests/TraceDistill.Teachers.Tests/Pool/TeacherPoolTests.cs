using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Pool;

public sealed class TeacherPoolTests
{
    static readonly Func<HttpContext, string, Task> Good = Replies.Completion("<think>1 + 2 = 3</think> 3");
    static readonly Func<HttpContext, string, Task> BytesAlone = Replies.Json(
        WireJson.WithLogprobs(
            """{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}]}"""
        )
    );

    // While a test moves the clock, answers come in the machine's own time.
    static readonly ResilienceOptions Patient = new() { AttemptTimeout = TimeSpan.FromDays(10) };
    static readonly ResilienceOptions Hedging = Patient with { HedgeAfter = TimeSpan.FromSeconds(20) };

    [Fact]
    public async Task GenerateAsync_OneEndpointFails_AsksTheOtherAtOnce()
    {
        await using var bad = await ProtocolServer.StartAsync(Replies.Status(500));
        await using var good = await ProtocolServer.StartAsync(Good);
        var time = TestTeacher.Time();
        using var pool = Pool(time, null, null, bad, good);

        var result = await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal("3", result.Answer);
        Assert.Equal((1, 1), (bad.Requests.Count, good.Requests.Count));
        Assert.All(time.Delays, delay => Assert.Equal(TimeSpan.Zero, delay));
    }

    [Fact]
    public async Task StreamAsync_AttemptThatBroughtNoText_IsFollowedByAnother()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Status(500),
            Events("""{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}""", "[DONE]")
        );
        using var pool = TestTeacher.Over(server, TestTeacher.Time());

        var pieces = await pool.StreamAsync(TestTeacher.Request, TestTeacher.Token).ToListAsync(TestTeacher.Token);

        Assert.Equal([null, "a"], [pieces[^1].Answer, string.Concat(pieces.Select(piece => piece.Answer))]);
        Assert.Equal("a", pieces[^1].Whole!.Answer);
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task StreamAsync_BreaksOffBehindSomeText_IsNotAskedForAgain()
    {
        await using var server = await ProtocolServer.StartAsync(Events("""{"choices":[{"delta":{"content":"a"}}]}"""), Good);
        using var pool = TestTeacher.Over(server, TestTeacher.Time());
        var texts = new List<string?>();

        var error = await Assert.ThrowsAsync<ExternalFailureException>(async () =>
        {
            await foreach (var piece in pool.StreamAsync(TestTeacher.Request, TestTeacher.Token))
            {
                texts.Add(piece.Answer);
            }
        });

        Assert.EndsWith("(part of the answer had come, so it was not asked for again)", error.Message);
        Assert.Equal(["a"], texts);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task StreamAsync_TakesLongerThanHedgingWaits_IsSentOnce()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Stall);
        var time = new VirtualTime();
        using var pool = TestTeacher.Over(server, time, Hedging);
        using var stop = new CancellationTokenSource();
        var pending = pool.StreamAsync(TestTeacher.Request, stop.Token).ToListAsync(TestTeacher.Token).AsTask();
        await server.RequestArrivedAsync(TestTeacher.Token);

        time.Advance(TimeSpan.FromMinutes(1));
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task GenerateAsync_RunStopsWhileItWaitsForARetry_EndsAtOnce()
    {
        using var stop = new CancellationTokenSource();
        await using var bad = await ProtocolServer.StartAsync(Replies.Status(503, "600"));
        var time = new VirtualTime();
        using var pool = new TeacherPool(
            [new PooledEndpoint(TestTeacher.Endpoint(bad.Url))],
            new ResilienceOptions(),
            time,
            SilentObserver.Instance,
            () => 0,
            stop.Token
        );
        var pending = pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await WaitUntilAsync(() => pool.Meters[0].ToRecord().Failures.Count == 1);

        await stop.CancelAsync();

        await Assert.ThrowsAsync<NotSentException>(() => pending);
        Assert.Single(bad.Requests);
    }

    [Fact]
    public async Task GenerateAsync_AllEndpointsBusy_WaitsOnlyThen()
    {
        await using var first = await ProtocolServer.StartAsync(Replies.Status(429), Good);
        await using var second = await ProtocolServer.StartAsync(Replies.Status(429), Good);
        var time = TestTeacher.Time();
        using var pool = Pool(time, null, null, first, second);

        await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal([1.0], time.Delays.Select(delay => delay.TotalSeconds).Where(seconds => seconds > 0));
    }

    [Fact]
    public async Task GenerateAsync_EndpointKeepsFailing_IsLeftOutAndComesBackWhenItAnswers()
    {
        var observer = new RecordingObserver();
        var isDown = true;
        await using var flaky = await ProtocolServer.StartAsync(
            (context, request) => isDown ? Replies.Reset(context, request) : Good(context, request)
        );
        await using var steady = await ProtocolServer.StartAsync(Good);
        var time = new VirtualTime();
        using var pool = Pool(time, Patient, observer, flaky, steady);

        await GenerateAsync(pool, 30);

        Assert.Equal((5, 30), (flaky.Requests.Count, steady.Requests.Count));
        Assert.Contains("is left out until it answers again", Assert.Single(observer.Messages));

        isDown = false;
        time.Advance(TimeSpan.FromSeconds(14));
        await GenerateAsync(pool, 5);
        Assert.Equal(5, flaky.Requests.Count);
        await AdvanceUntilAsync(time, () => observer.Messages.Count == 2);

        Assert.EndsWith("answers again", observer.Messages.Last());
        await GenerateAsync(pool, 100);
        Assert.InRange(flaky.Requests.Count, 50, 105);
    }

    [Fact]
    public async Task GenerateAsync_EndpointGone_StaysLeftOut()
    {
        var observer = new RecordingObserver();
        var gone = await ProtocolServer.StartAsync(Good);
        await using var steady = await ProtocolServer.StartAsync(Good);
        var time = new VirtualTime(TimeSpan.FromMinutes(1));
        using var pool = Pool(time, null, observer, gone, steady);
        await gone.DisposeAsync();

        await GenerateAsync(pool, 100);

        Assert.Equal(5, pool.Meters[0].ToRecord().Failures["no_connection"]);
        Assert.Single(observer.Messages);
    }

    [Fact]
    public async Task GenerateAsync_KeyRefusedAtOne_LeavesItOutOfTheRun()
    {
        var observer = new RecordingObserver();
        await using var closed = await ProtocolServer.StartAsync(Replies.Status(401));
        await using var open = await ProtocolServer.StartAsync(Good);
        using var pool = Pool(TestTeacher.Time(), null, observer, closed, open);

        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token)));
        var before = closed.Requests.Count;
        await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal(before, closed.Requests.Count);
        Assert.Contains("left out of this run", Assert.Single(observer.Messages));
    }

    [Fact]
    public async Task GenerateAsync_KeyRefusedEverywhere_CondemnsTheTeacher()
    {
        await using var first = await ProtocolServer.StartAsync(Replies.Status(401));
        await using var second = await ProtocolServer.StartAsync(Replies.Status(401));
        using var pool = Pool(TestTeacher.Time(), null, null, first, second);

        await Assert.ThrowsAsync<TeacherUnavailableException>(() => pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token));
    }

    [Fact]
    public async Task GenerateAsync_RetryAfter_HoldsTheOthersToo()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(429, "90"), Good);
        var time = TestTeacher.Time();
        using var pool = Pool(time, Patient, null, server);
        var refused = pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await server.RequestArrivedAsync(TestTeacher.Token);
        await WaitUntilAsync(() => pool.Meters[0].ToRecord().Failures.Count == 1);

        var other = pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        time.Advance(TimeSpan.FromSeconds(89));
        Assert.Single(server.Requests);
        await AdvanceUntilAsync(time, () => refused.IsCompleted && other.IsCompleted);

        Assert.Equal("3", (await other).Answer);
        Assert.Equal("3", (await refused).Answer);
    }

    [Fact]
    public async Task GenerateAsync_HeadersSayNothingIsLeft_WaitsBeforeTheNext()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                context.Response.Headers["x-ratelimit-remaining-requests"] = "0";
                context.Response.Headers["x-ratelimit-reset-requests"] = "2m0s";
                return Good(context, request);
            }
        );
        var time = TestTeacher.Time();
        using var pool = Pool(time, null, null, server);
        await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        var next = pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        time.Advance(TimeSpan.FromSeconds(119));
        Assert.Single(server.Requests);
        time.Advance(TimeSpan.FromSeconds(1));

        await next;
    }

    [Fact]
    public async Task GenerateAsync_Hedged_TakesTheQuickerAnswerAndCountsBoth()
    {
        await using var slow = await ProtocolServer.StartAsync(Replies.Stall);
        await using var quick = await ProtocolServer.StartAsync(Good);
        var time = new VirtualTime();
        using var pool = Pool(time, Hedging, null, slow, quick);
        var pending = pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await slow.RequestArrivedAsync(TestTeacher.Token);
        Assert.Empty(quick.Requests);

        await AdvanceUntilAsync(time, () => pending.IsCompleted);

        var result = await pending;
        var (lost, won) = (pool.Meters[0].ToRecord(), pool.Meters[1].ToRecord());
        Assert.Equal("3", result.Answer);
        Assert.Equal((0, 1, 0), (lost.Answered, lost.Hedged, lost.Failures.Count));
        Assert.Equal((1, 0), (won.Answered, won.Hedged));
        Assert.Equal((result.PromptTokens + result.CompletionTokens, result.CompletionTokens), (lost.UnreadTokens, lost.CompletionTokens));
    }

    [Fact]
    public async Task GenerateAsync_HedgedCopyFails_WaitsForTheFirst()
    {
        var gate = new TaskCompletionSource();
        await using var slow = await ProtocolServer.StartAsync(
            async (context, request) =>
            {
                await gate.Task;
                await Good(context, request);
            }
        );
        await using var bad = await ProtocolServer.StartAsync(Replies.Status(500));
        var time = new VirtualTime();
        using var pool = Pool(time, Hedging, null, slow, bad);
        var pending = pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await slow.RequestArrivedAsync(TestTeacher.Token);
        await AdvanceUntilAsync(time, () => pool.Meters[1].ToRecord().Failures.Count == 1);

        Assert.False(pending.IsCompleted);
        gate.SetResult();

        Assert.Equal("3", (await pending).Answer);
        Assert.Single(slow.Requests);
    }

    [Fact]
    public async Task ProbeAsync_EndpointsDiffer_NamesTheOne()
    {
        await using var ids = await ProtocolServer.StartAsync(Good);
        await using var bytes = await ProtocolServer.StartAsync(BytesAlone);
        using var pool = Pool(TestTeacher.Time(), null, null, ids, bytes);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => pool.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token));

        Assert.StartsWith($"endpoints: teacher at {bytes.Url} names tokens by their bytes", error.Message);
    }

    [Fact]
    public async Task ProbeAsync_OneRefusesTheKey_LeavesItOutOfTheRun()
    {
        var observer = new RecordingObserver();
        await using var closed = await ProtocolServer.StartAsync(Replies.Status(401));
        await using var there = await ProtocolServer.StartAsync(Good);
        using var pool = Pool(TestTeacher.Time(), null, observer, closed, there);

        await pool.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token);
        await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Contains("left out of this run", Assert.Single(observer.Messages));
    }

    [Fact]
    public async Task ProbeAsync_OneDoesNotAnswerYet_IsGivenNothingUntilItHasShownTheSame()
    {
        var observer = new RecordingObserver();
        var isUp = false;
        await using var late = await ProtocolServer.StartAsync(
            (context, request) => isUp ? Good(context, request) : Replies.Status(500)(context, request)
        );
        await using var there = await ProtocolServer.StartAsync(Good);
        var time = new VirtualTime();
        using var pool = Pool(time, Patient, observer, late, there);

        var probing = pool.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token);
        await AdvanceUntilAsync(time, () => probing.IsCompleted);
        await probing;
        Assert.Contains("left out until it answers", Assert.Single(observer.Messages));
        await GenerateAsync(pool, 30);
        Assert.Equal(30, there.Requests.Count(IsTrace));

        isUp = true;
        await AdvanceUntilAsync(time, () => observer.Messages.Count == 2);
        Assert.EndsWith("answers again", observer.Messages.Last());
        await GenerateAsync(pool, 60);
        Assert.InRange(late.Requests.Count(IsTrace), 30, 60);

        static bool IsTrace(string request) => request.Contains(TestTeacher.Request.Messages[^1].Content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProbeAsync_OneThatWasAwayComesBackAnother_IsLeftOutOfTheRun()
    {
        var observer = new RecordingObserver();
        var reply = Good;
        await using var changing = await ProtocolServer.StartAsync((context, request) => reply(context, request));
        await using var steady = await ProtocolServer.StartAsync(Good);
        var time = new VirtualTime();
        using var pool = Pool(time, Patient, observer, changing, steady);
        await pool.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token);

        reply = Replies.Reset;
        await GenerateAsync(pool, 30);
        Assert.Contains("until it answers again", Assert.Single(observer.Messages));
        reply = BytesAlone;
        await AdvanceUntilAsync(time, () => observer.Messages.Count == 2);

        Assert.Equal(
            $"teacher at {changing.Url} names tokens by their bytes now, "
                + $"unlike the others; teacher at {changing.Url} is left out of this run",
            observer.Messages.Last()
        );
        var asked = changing.Requests.Count;
        await GenerateAsync(pool, 30);
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(asked, changing.Requests.Count);
    }

    [Fact]
    public async Task Dispose_Twice_DoesNothingMore()
    {
        await using var server = await ProtocolServer.StartAsync(Good);
        using var pool = TestTeacher.Over(server, TestTeacher.Time());
        await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        pool.Dispose();
        pool.Dispose();

        await Assert.ThrowsAnyAsync<Exception>(() => pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token));
        Assert.Single(server.Requests);
    }

    static TeacherPool Pool(VirtualTime time, ResilienceOptions? options, IRunObserver? observer, params ProtocolServer[] servers) =>
        new(
            [.. servers.Select(server => new PooledEndpoint(TestTeacher.Endpoint(server.Url)))],
            options ?? new ResilienceOptions(),
            time,
            observer ?? SilentObserver.Instance,
            () => 0
        );

    static async Task GenerateAsync(TeacherPool pool, int requests)
    {
        for (var i = 0; i < requests; i++)
        {
            await pool.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        }
    }

    /// <summary>
    /// What waits on the clock may only start to wait after this. The clock goes on a second for some answers of another
    /// server: those of probes and health checks, which have timeouts of minutes, come as fast as the machine is.
    /// </summary>
    static async Task AdvanceUntilAsync(VirtualTime time, Func<bool> isReached)
    {
        const int AnswersPerSecond = 5;
        await using var other = await ProtocolServer.StartAsync();
        using var http = new HttpClient();
        while (!isReached())
        {
            time.Advance(TimeSpan.FromSeconds(1));
            for (var i = 0; i < AnswersPerSecond; i++)
            {
                using var answer = await http.GetAsync(new Uri($"{other.Url}/models"), TestTeacher.Token);
            }
        }
    }

    static async Task WaitUntilAsync(Func<bool> isReached)
    {
        while (!isReached())
        {
            await YieldAsync();
        }
    }

    static async Task YieldAsync()
    {
        TestTeacher.Token.ThrowIfCancellationRequested();
        await Task.Yield();
    }

    static Func<HttpContext, string, Task> Events(params string[] events) =>
        (context, _) =>
            Replies.Bytes(
                context,
                System.Text.Encoding.UTF8.GetBytes(string.Concat(events.Select(one => $"data: {one}\n\n"))),
                "text/event-stream"
            );
}
