using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Routing;

public sealed class EndpointRouterTests
{
    readonly VirtualTime _time = new();

    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EnterAsync_UnequalWeights_SharesWhatIsOutstanding()
    {
        using var router = Router((3, 100), (1, 100));

        Assert.Equal((30, 10), await CountAsync(router, 40));
    }

    [Fact]
    public async Task EnterAsync_OneAtATime_StillSharesByWeight()
    {
        using var router = Router((3, 100), (1, 100));
        var given = new int[2];
        for (var i = 0; i < 40; i++)
        {
            var place = await EnterAsync(router);
            given[place.Endpoint]++;
            router.Answered(place, 1, 1);
        }

        Assert.Equal([30, 10], given);
    }

    [Fact]
    public async Task EnterAsync_OneEndpointSlow_GoesWhereLessIsOutstanding()
    {
        using var router = Router((1, 100), (1, 100));
        await CountAsync(router, 20);
        var unanswered = 0;
        for (var i = 0; i < 10; i++)
        {
            // The second endpoint answers at once, the first never.
            var place = await EnterAsync(router);
            unanswered += place.Endpoint == 0 ? 1 : 0;
            if (place.Endpoint == 1)
            {
                router.Answered(place, 1, 1);
            }
        }

        Assert.InRange(unanswered, 0, 1);
    }

    [Fact]
    public async Task EnterAsync_NoRoom_WaitsInOrder()
    {
        using var router = Router((1, 2));
        var first = await EnterAsync(router);
        await EnterAsync(router);
        var third = EnterAsync(router);
        var fourth = EnterAsync(router);
        Assert.False(third.IsCompleted);

        router.Answered(first, 1, 1);
        var place = await third;
        Assert.False(fourth.IsCompleted);
        router.Abandoned(place);

        await fourth;
    }

    [Fact]
    public async Task EnterAsync_CancelledWait_GivesItsPlaceToTheNext()
    {
        using var router = Router((1, 1));
        var first = await EnterAsync(router);
        using var stop = new CancellationTokenSource();
        var second = router.EnterAsync(1, 1, avoid: -1, stop.Token).AsTask();
        var third = EnterAsync(router);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        router.Answered(first, 1, 1);

        Assert.Equal(0, (await third).Endpoint);
        Assert.Equal(1, router.Load(0).InFlight);
    }

    [Fact]
    public async Task EnterAsync_RunStops_SendsNothingMore()
    {
        using var stop = new CancellationTokenSource();
        using var router = new EndpointRouter(
            [new EndpointTraffic(1, new AdaptiveLimit(1), new RateLimits(null, null))],
            _time,
            stop.Token
        );
        var first = await EnterAsync(router);
        var second = EnterAsync(router);

        await stop.CancelAsync();

        await Assert.ThrowsAsync<NotSentException>(() => second);
        await Assert.ThrowsAsync<NotSentException>(() => EnterAsync(router));
        router.Answered(first, 1, 1);
        Assert.Equal(0, router.Load(0).InFlight);
    }

    [Fact]
    public async Task EnterAsync_Avoiding_WaitsForTheOtherWhileItIsInServiceAndHoldsNobodyUp()
    {
        using var router = Router((1, 2), (1, 1));
        var held = new[] { await EnterAsync(router), await EnterAsync(router) }.Single(place => place.Endpoint == 1);

        var retry = router.EnterAsync(1, 1, avoid: 0, Token).AsTask();
        Assert.False(retry.IsCompleted);
        Assert.Equal(0, (await EnterAsync(router)).Endpoint);
        router.Answered(held, 1, 1);

        Assert.Equal(1, (await retry).Endpoint);
    }

    [Fact]
    public async Task EnterAsync_EndpointOut_IsPassedOverUntilItIsBack()
    {
        using var router = Router((1, 100), (1, 100));

        router.Change(0, EndpointService.Out);
        Assert.Equal((0, 10), await CountAsync(router, 10));
        router.Change(0, EndpointService.In);

        Assert.Equal((10, 0), await CountAsync(router, 10));
    }

    [Fact]
    public async Task EnterAsync_AllOut_StillGivesPlaces()
    {
        using var router = Router((1, 100), (1, 100));
        router.Change(0, EndpointService.Out);
        router.Change(1, EndpointService.Out);

        await EnterAsync(router);
    }

    [Fact]
    public async Task Remove_AllButTheLast_LeavesOne()
    {
        using var router = Router((1, 100), (1, 100));

        Assert.True(router.Remove(0));
        Assert.True(router.Remove(0));
        Assert.False(router.Remove(1));
        router.Change(0, EndpointService.In);

        Assert.Equal((0, 5), await CountAsync(router, 5));
    }

    [Fact]
    public void Remove_BothAtTheSameMoment_LeavesOne()
    {
        for (var i = 0; i < 5000; i++)
        {
            using var router = Router((1, 1), (1, 1));
            using var start = new Barrier(2);
            var isRemoved = new bool[2];

            Parallel.For(0, 2, new ParallelOptions { MaxDegreeOfParallelism = 2 }, endpoint =>
            {
                start.SignalAndWait(Token);
                isRemoved[endpoint] = router.Remove(endpoint);
            });

            Assert.NotEqual(isRemoved[0], isRemoved[1]);
        }
    }

    [Fact]
    public async Task EnterAsync_WaitLongerThanATimerBears_IsWaitedFor()
    {
        using var router = new EndpointRouter(
            [new EndpointTraffic(1, new AdaptiveLimit(1), new RateLimits(null, null))],
            TimeProvider.System
        );
        router.Pause(0, TimeSpan.FromDays(60));

        var waiting = EnterAsync(router);

        Assert.False(waiting.IsCompleted);
        await Assert.ThrowsAsync<TimeoutException>(() => waiting.WaitAsync(TimeSpan.Zero, Token));
    }

    [Fact]
    public async Task Pause_TheOnlyEndpoint_HoldsRequestsUntilItIsOver()
    {
        using var router = Router((1, 100));
        router.Pause(0, TimeSpan.FromSeconds(90));
        var waiting = EnterAsync(router);

        _time.Advance(TimeSpan.FromSeconds(89));
        Assert.False(waiting.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));

        await waiting;
    }

    [Fact]
    public async Task EnterAsync_RequestsAMinuteUsedUp_GoesToTheOtherEndpoint()
    {
        using var router = new EndpointRouter(
            [
                new EndpointTraffic(10, new AdaptiveLimit(100), new RateLimits(60, null)),
                new EndpointTraffic(1, new AdaptiveLimit(100), new RateLimits(null, null)),
            ],
            _time
        );

        Assert.Equal((1, 9), await CountAsync(router, 10));
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((1, 2), await CountAsync(router, 3));
    }

    EndpointRouter Router(params (double Weight, int Limit)[] endpoints) =>
        new(
            endpoints.Select(endpoint => new EndpointTraffic(
                endpoint.Weight,
                new AdaptiveLimit(endpoint.Limit),
                new RateLimits(null, null)
            )),
            _time
        );

    [Fact]
    public async Task Received_LetsTheNextGoBeforeTheAnswerIsMadeSenseOf()
    {
        using var router = Router((1, 1));
        var first = await EnterAsync(router);
        var second = EnterAsync(router);
        Assert.False(second.IsCompleted);

        router.Received(first);
        var held = await second;
        router.Answered(first, 1, 1);

        Assert.Equal(1, router.Load(0).InFlight);
        router.Failed(held, isOverload: false, retryAfter: null);
        Assert.Equal(0, router.Load(0).InFlight);
    }

    [Fact]
    public async Task EnterAsync_OneEndpointAlone_WaitsForItAndHoldsNobodyElseUp()
    {
        using var router = Router((1, 1), (1, 1));
        var held = await router.EnterAsync(1, 1, avoid: -1, Token, only: 1);
        Assert.Equal(1, held.Endpoint);

        var wanting = router.EnterAsync(1, 1, avoid: -1, Token, only: 1).AsTask();
        Assert.Equal(0, (await EnterAsync(router)).Endpoint);
        Assert.False(wanting.IsCompleted);
        router.Answered(held, 1, 1);

        Assert.Equal(1, (await wanting).Endpoint);
    }

    static Task<Place> EnterAsync(EndpointRouter router) => router.EnterAsync(promptTokens: 1, maxTokens: 1, avoid: -1, Token).AsTask();

    static async Task<(int First, int Second)> CountAsync(EndpointRouter router, int requests)
    {
        var given = new int[2];
        for (var i = 0; i < requests; i++)
        {
            given[(await EnterAsync(router)).Endpoint]++;
        }

        return (given[0], given[1]);
    }
}
