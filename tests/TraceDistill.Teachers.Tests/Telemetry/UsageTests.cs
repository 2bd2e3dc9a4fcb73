using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Telemetry;

public sealed class UsageTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    string File => _folder.File(".usage.json");

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.95)]
    [InlineData(0.99)]
    public void Quantile_ManyLatencies_IsWithinTwoPercentOfTheirOwn(double share)
    {
        var random = new Random(1);
        var seconds = Enumerable.Range(0, 10_000).Select(_ => 0.05 * Math.Exp(3 * random.NextDouble())).ToArray();
        var histogram = new LatencyHistogram();
        foreach (var latency in seconds)
        {
            histogram.Add(TimeSpan.FromSeconds(latency));
        }

        var exact = seconds.Order().ElementAt((int)(share * seconds.Length) - 1);
        Assert.InRange(histogram.Quantile(share)!.Value / exact, 0.979, 1.021);
    }

    [Fact]
    public void Quantile_Nothing_IsNull() => Assert.Null(new LatencyHistogram().Quantile(0.5));

    [Fact]
    public void Summarize_SeveralRuns_AddsThemUpByEndpoint()
    {
        Run("a", (1, 10, 100), (1, 10, 100));
        Run("b", (3, 5, 50));
        Run("a", (9, 10, 100));

        var usage = UsageLedger.Summarize(File)!;

        Assert.Equal(385, usage.Tokens);
        Assert.Null(usage.Cost);
        Assert.Equal(4, usage.Failures);
        Assert.Equal(
            [("a", 3L, 300L, 2L), ("b", 1L, 50L, 1L)],
            usage.Endpoints.Select(endpoint =>
                (endpoint.Endpoint, endpoint.Answered, endpoint.CompletionTokens, endpoint.Failures["http_500"])
            )
        );
        Assert.InRange(usage.Latency.P50!.Value, 0.97, 1.03);
        Assert.InRange(usage.Latency.P99!.Value, 8.8, 9.2);
    }

    [Fact]
    public void Summarize_DamagedFile_IsNamed()
    {
        System.IO.File.WriteAllText(File, "[{");

        Assert.Contains(File, Assert.Throws<InvalidInputException>(() => UsageLedger.Summarize(File)).Message);
    }

    [Fact]
    public void Failed_StreamThatBrokeOff_CountsItsPieces()
    {
        var meter = new EndpointMeter("a", new TokenPrice { Input = 1_000_000, Output = 2_000_000 });

        meter.Failed(new TeacherRequestException(FailureScope.Passing, "cut"), 10, 1000, pieces: 7);

        Assert.Equal((17, 24.0), meter.Spent);
    }

    [Fact]
    public void Lost_AnswerAmongOthers_IsTakenToBeAsLongAsMostOfThem()
    {
        var lengths = new AnswerLengths();
        Assert.Equal((250, 250), (lengths.Lost(most: 1000), lengths.Abandoned(most: 1000)));

        for (var tokens = 1; tokens <= 100; tokens++)
        {
            lengths.Add(tokens);
        }

        // The 95th of a hundred, and their mean of 50.5 rounded down.
        Assert.Equal((95, 50), (lengths.Lost(most: 1000), lengths.Abandoned(most: 1000)));
        Assert.Equal((40, 40), (lengths.Lost(most: 40), lengths.Abandoned(most: 40)));
    }

    void Run(string endpoint, params (double Seconds, int Prompt, int Completion)[] answers)
    {
        var meter = new EndpointMeter(endpoint, price: null);
        using var ledger = new UsageLedger(File, [meter], TestTeacher.Time());
        foreach (var (seconds, prompt, completion) in answers)
        {
            meter.Answered(TimeSpan.FromSeconds(seconds), prompt, completion);
        }

        meter.Failed(new TeacherRequestException(FailureScope.Passing, "failed") { Status = 500 }, 10, 100);
        if (endpoint == "a")
        {
            return;
        }

        meter.Failed(new TeacherRequestException(FailureScope.Passing, "gone") { NoConnection = true }, 10, 100);
    }

    public void Dispose() => _folder.Dispose();
}
