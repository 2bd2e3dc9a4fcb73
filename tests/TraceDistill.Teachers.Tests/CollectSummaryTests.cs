using TraceDistill.Teachers.Telemetry;
using Xunit;

namespace TraceDistill.Teachers.Tests;

public sealed class CollectSummaryTests
{
    static readonly CollectSummary Summary = new(
        Count: 1200,
        Correct: 1000,
        Tokens: 120_000,
        Bytes: 3_972_000,
        BytesPerToken: 33.1,
        TopK: 20,
        Collected: 200,
        Failed: 0,
        Length: 3,
        Refusal: 0,
        Empty: 0
    );

    [Fact]
    public void ToString_SomeNew_SaysWhatCame() =>
        Assert.Equal("1,200 traces (200 new), 83.3 % correct, 3 cut off; 120,000 tokens at 33.1 bytes", $"{Summary}");

    [Fact]
    public void ToString_WithUsage_TellsLatencyAndCost()
    {
        var usage = new CollectionUsage
        {
            Tokens = 200_000,
            Cost = 1.25,
            Failures = 2,
            Latency = new LatencySummary(0.5, 2.25, 3),
            Endpoints = [],
        };

        Assert.EndsWith("; requests took 0.5 s (p50), 2.25 s (p95); cost 1.25", $"{Summary with { Usage = usage }}");
    }
}
