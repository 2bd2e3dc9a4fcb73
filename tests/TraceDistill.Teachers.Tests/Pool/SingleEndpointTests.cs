using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Pool;

public sealed class SingleEndpointTests
{
    static readonly Func<HttpContext, string, Task> Good = Replies.Completion("<think>1 + 2 = 3</think> 3");

    [Fact]
    public async Task GenerateAsync_PassingFailures_AreOutlastedWithGrowingDelays()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Status(500),
            Replies.Reset,
            Replies.CutShort,
            Replies.Json("{\"choices\":[{\"mess"),
            Replies.Status(503),
            Good
        );
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time);

        var result = await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal("3", result.Answer);
        // Half of 1, 2, 4, 8, 16 seconds: the half that is not random.
        Assert.Equal([0.5, 1, 2, 4, 8], time.Delays.Select(delay => delay.TotalSeconds));
    }

    [Fact]
    public async Task GenerateAsync_Jitter_SpreadsDelaysUpToTheWholeStep()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(500), Replies.Status(500), Good);
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time, jitter: 0.5);

        await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal([0.75, 1.5], time.Delays.Select(delay => delay.TotalSeconds));
    }

    [Fact]
    public async Task GenerateAsync_RetryAfter_IsHonoured()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Status(429, "7"),
            Replies.Status(503, "9"),
            Replies.Status(429),
            Good
        );
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time);

        await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        // Last: the third wait for a busy teacher, half of 4 seconds; one that says when to come back is busy, not out of order.
        Assert.Equal([7, 9, 2], time.Delays.Select(delay => delay.TotalSeconds));
    }

    [Theory]
    [InlineData(429, "86400")]
    [InlineData(429, "2147483647")]
    [InlineData(429, "Fri, 31 Dec 9999 23:59:59 GMT")]
    [InlineData(503, "86400")]
    [InlineData(500, "86400")]
    [InlineData(504, "2147483647")]
    [InlineData(408, "86400")]
    [InlineData(425, "86400")]
    public async Task GenerateAsync_RetryAfterOfADay_EndsTheRunInsteadOfWaiting(int status, string retryAfter)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(status, retryAfter), Good);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        await Assert.ThrowsAsync<TeacherUnavailableException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));

        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task GenerateAsync_TeacherBusyForLong_IsWaitedFor()
    {
        var busy = Enumerable.Repeat(Replies.Status(429, "1"), 40);
        await using var server = await ProtocolServer.StartAsync([.. busy, Replies.Reset, Replies.Status(500), .. busy, Good]);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Equal("3", (await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token)).Answer);
    }

    [Fact]
    public async Task GenerateAsync_LongWaits_AreToldOnceAMinute()
    {
        var observer = new RecordingObserver();
        await using var server = await ProtocolServer.StartAsync(
            Replies.Status(429, "1"),
            Replies.Status(429, "20"),
            Replies.Status(429, "30"),
            Replies.Status(429, "50"),
            Replies.Status(429, "40"),
            Good
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), observer: observer);

        await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        // After 1, 21, 51 and 101 seconds.
        Assert.Equal(["20 s", "40 s"], observer.Messages.Select(message => message.Split("too much to do (429); trying again in ")[1]));
    }

    [Fact]
    public async Task GenerateAsync_NobodyListensAnyMore_CondemnsTheTeacher()
    {
        var server = await ProtocolServer.StartAsync(Good);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), new ResilienceOptions { MaxRetries = 2 });
        await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await server.DisposeAsync();

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token)
        );

        Assert.Contains("cannot reach teacher", error.Message);
        Assert.Contains("(tried 3 times)", error.Message);
    }

    [Fact]
    public async Task GenerateAsync_FailuresThatLast_EndWithOneLineThatNamesSampleModelAndAddress()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(500, "out of memory"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), new ResilienceOptions { MaxRetries = 2 });

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));

        Assert.Equal($"sample trace-1: teacher at {server.Url} failed (500): out of memory (tried 3 times)", error.Message);
        Assert.Equal(3, server.Requests.Count);
    }

    [Fact]
    public async Task GenerateAsync_RefusedRequest_IsNotRepeatedAndCostsThisSampleAlone()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(400, "context length exceeded"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));

        Assert.Contains("sample trace-1", error.Message);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task GenerateAsync_KeyRefused_IsNotRepeatedAndCondemnsTheTeacher()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(401));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        await Assert.ThrowsAsync<TeacherUnavailableException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));

        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task GenerateAsync_Stall_TimesOutAfterATimeThatFitsTheTokensAndIsRepeated()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Stall, Good);
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time);
        var pending = teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await server.RequestArrivedAsync(TestTeacher.Token);

        time.Advance(TimeSpan.FromSeconds(79)); // 60 + 100 tokens × 0.2 = 80
        Assert.False(pending.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("3", (await pending).Answer);
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task GenerateAsync_TeacherKeepsFailing_IsLeftAloneForAWhile()
    {
        var observer = new RecordingObserver();
        await using var server = await ProtocolServer.StartAsync([.. Enumerable.Repeat(Replies.Status(500), 10), Good]);
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time, new ResilienceOptions { MaxRetries = 0 }, observer);

        for (var i = 0; i < 10; i++)
        {
            await Assert.ThrowsAsync<ExternalFailureException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));
        }

        await Assert.ThrowsAsync<TeacherUnavailableException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));
        Assert.Equal(10, server.Requests.Count);
        Assert.Contains("failed (500); pausing for 15 s", observer.Messages.Single());

        time.Advance(TimeSpan.FromSeconds(15));

        Assert.Equal("3", (await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token)).Answer);
    }

    [Fact]
    public async Task GenerateAsync_ManyAtOnce_UsesTheConcurrencyAndNeverExceedsIt()
    {
        var inFlight = 0;
        var most = 0;
        var gate = new SemaphoreSlim(0);
        await using var server = await ProtocolServer.StartAsync(
            async (context, request) =>
            {
                var now = Interlocked.Increment(ref inFlight);
                InterlockedMax(ref most, now);
                await gate.WaitAsync(context.RequestAborted);
                Interlocked.Decrement(ref inFlight);
                await Good(context, request);
            }
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), new ResilienceOptions { Concurrency = 3 });

        var pending = Enumerable.Range(0, 12).Select(_ => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token)).ToArray();
        for (var arrived = 1; arrived <= 12; arrived++)
        {
            await server.RequestArrivedAsync(TestTeacher.Token);
            if (arrived >= 3)
            {
                gate.Release(); // One has to go for the next to come.
            }
        }

        gate.Release(2);
        await Task.WhenAll(pending);

        Assert.Equal(3, most);
    }

    [Fact]
    public async Task GenerateAsync_Cancelled_IsNoFailure()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Stall);
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time);
        using var stop = new CancellationTokenSource();
        var pending = teacher.GenerateAsync(TestTeacher.Request, stop.Token);
        await server.RequestArrivedAsync(TestTeacher.Token);

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
    }

    static void InterlockedMax(ref int target, int value)
    {
        for (var seen = Volatile.Read(ref target); seen < value; seen = Volatile.Read(ref target))
        {
            Interlocked.CompareExchange(ref target, value, seen);
        }
    }
}
