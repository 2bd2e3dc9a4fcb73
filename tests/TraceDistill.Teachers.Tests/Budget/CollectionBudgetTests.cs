using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Budget;

public sealed class CollectionBudgetTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();
    readonly EndpointMeter _meter = new("teacher", new TokenPrice { Input = 1, Output = 10 });

    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ReserveAsync_AnyAnswers_NeverSpendsMoreAndUsesUpWhatOneRequestLeaves()
    {
        const long Most = 100_000;
        var budget = Budget(tokens: Most);
        var random = new Random(3);
        var inFlight = new List<Reservation>();
        var sent = 0;
        await Assert.ThrowsAsync<NotSentException>(async () =>
        {
            while (true)
            {
                var next = budget.ReserveAsync(50, 1000, isCopy: false, Token).AsTask();
                while (!next.IsCompleted && inFlight.Count > 0)
                {
                    // Waits for those in flight, which take less than they might.
                    var over = inFlight[random.Next(inFlight.Count)];
                    inFlight.Remove(over);
                    _meter.Answered(TimeSpan.FromSeconds(1), 50, random.Next(100, 1001));
                    budget.Release(over);
                }

                inFlight.Add(await next);
                sent++;
            }
        });

        Assert.True(budget.IsSpent);
        Assert.InRange(_meter.Spent.Tokens, Most - 1050, Most);
        Assert.InRange(sent, 100, 1000);
    }

    [Fact]
    public async Task ReserveAsync_Cost_CountsBothPrices()
    {
        // 50 prompt tokens at 1 and 1,000 generated at 10 a million: 0.01005 each.
        var budget = Budget(cost: 0.02012);
        var first = await budget.ReserveAsync(50, 1000, isCopy: false, Token);
        await budget.ReserveAsync(50, 1000, isCopy: false, Token);

        var third = budget.ReserveAsync(50, 1000, isCopy: false, Token).AsTask();
        Assert.False(third.IsCompleted);
        _meter.Answered(TimeSpan.FromSeconds(1), 50, 5);
        budget.Release(first);
        Assert.False(third.IsCompleted);
        Assert.Equal("cost 0.0001 of 0.0201", budget.Describe());
    }

    [Fact]
    public async Task ReserveAsync_CancelledWait_LeavesNothingReserved()
    {
        var budget = Budget(tokens: 1000);
        var first = await budget.ReserveAsync(0, 1000, isCopy: false, Token);
        using var stop = new CancellationTokenSource();
        var second = budget.ReserveAsync(0, 1000, isCopy: false, stop.Token).AsTask();

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        budget.Release(first);

        await budget.ReserveAsync(0, 1000, isCopy: false, Token);
    }

    [Fact]
    public async Task ReserveAsync_NoLimit_LetsEverythingThrough()
    {
        var budget = CollectionBudget.Unlimited;
        for (var i = 0; i < 1000; i++)
        {
            await budget.ReserveAsync(int.MaxValue, int.MaxValue, isCopy: false, Token);
        }

        Assert.False(budget.IsSpent);
    }

    [Fact]
    public async Task ReserveAsync_SpentByEarlierRuns_Counts()
    {
        using (var ledger = new UsageLedger(_folder.File("usage.json"), [_meter], TestTeacher.Time()))
        {
            _meter.Answered(TimeSpan.FromSeconds(1), 100, 900);
        }

        using var second = new UsageLedger(_folder.File("usage.json"), [], TestTeacher.Time());
        var budget = new CollectionBudget(1500, null, null, () => second.Spent);

        await Assert.ThrowsAsync<NotSentException>(() => budget.ReserveAsync(100, 500, isCopy: false, Token).AsTask());
        Assert.Equal("1,000 of 1,500 tokens", budget.Describe());
    }

    CollectionBudget Budget(long? tokens = null, double? cost = null) =>
        new(tokens, cost, cost is null ? null : _meter.Price, () => _meter.Spent);

    public void Dispose() => _folder.Dispose();
}
