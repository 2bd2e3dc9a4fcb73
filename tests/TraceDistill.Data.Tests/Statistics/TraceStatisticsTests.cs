using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Statistics;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Data.Tests.Statistics;

public sealed class TraceStatisticsTests
{
    [Fact]
    public async Task Statistics_OfADataSet_CountTracesTokensAndBytes()
    {
        using var directory = new TemporaryDirectory();
        Trace[] traces =
        [
            .. Enumerable.Range(0, 9).Select(i => SampleTraces.Create(i, tokens: 10 * (i + 1))),
            SampleTraces.Create(9, tokens: 100) with
            {
                FinishReason = "length",
                Verdict = "unverified",
                PromptTokens = 70,
            },
        ];
        var manifest = await SampleTraces.WriteAsync(directory.Path, traces);

        var statistics = await ComputeAsync(directory.Path);

        Assert.Equal((10, 550), (statistics.Count, statistics.Tokens));
        Assert.Equal(manifest.Bytes, statistics.Bytes);
        Assert.Equal(manifest.Bytes / 550.0, statistics.BytesPerToken, 9);
        Assert.Equal(20, statistics.TopK);
        Assert.Equal(new Dictionary<string, long> { ["stop"] = 9, ["length"] = 1 }, statistics.FinishReasons);
        // Of 0…8 those divisible by three are incorrect.
        Assert.Equal(
            new Dictionary<string, long>
            {
                ["correct"] = 6,
                ["incorrect"] = 3,
                ["unverified"] = 1,
            },
            statistics.Verdicts
        );
        Assert.Equal(new SourceStatistics(5, 10 + 30 + 50 + 70 + 90, 3), statistics.Sources["addition"]);
        Assert.Equal(new SourceStatistics(5, 20 + 40 + 60 + 80 + 100, 3), statistics.Sources["gsm8k"]);
    }

    [Fact]
    public async Task Lengths_OfADataSet_AreSummarisedByNearestRank()
    {
        using var directory = new TemporaryDirectory();
        await SampleTraces.WriteAsync(
            directory.Path,
            Enumerable.Range(1, 10).Select(i => SampleTraces.Create(i, tokens: i == 10 ? 50 : i, k: 2)),
            dataset: SampleTraces.Dataset(k: 2)
        );

        var lengths = (await ComputeAsync(directory.Path)).CompletionLengths;

        Assert.Equal((9.5, 5, 9, 50, 50), (lengths.Mean, lengths.Median, lengths.Percentile90, lengths.Percentile99, lengths.Longest));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 50], lengths.Counts.Keys);
    }

    [Fact]
    public async Task SoftTargets_OfADataSet_GiveMassAndEntropyWithTheTailAsOneOutcome()
    {
        using var directory = new TemporaryDirectory();
        var none = float.NegativeInfinity;
        var logprobs = new TokenLogprobs
        {
            K = 2,
            TokenIds = [1, 2],
            Logprobs = [MathF.Log(0.5f), 0],
            TopIds = [1, 3, 2, -1],
            TopLogprobs = [MathF.Log(0.5f), MathF.Log(0.25f), 0, none],
        };
        await SampleTraces.WriteAsync(
            directory.Path,
            [SampleTraces.Create(1) with { Logprobs = logprobs }],
            new ShardWriterOptions { Layout = SoftTargetLayout.Plain },
            SampleTraces.Dataset(k: 2)
        );

        var statistics = await ComputeAsync(directory.Path);

        // Halves and quarters: 1.5 bits in the first row, none in the second.
        Assert.Equal((0.75 + 1) / 2, statistics.CapturedMass!.Value, 6);
        Assert.Equal((1.5 * Math.Log(2) + 0) / 2, statistics.Entropy!.Value, 6);
    }

    [Fact]
    public async Task TextAlone_HasNoMassAndNoEntropy()
    {
        using var directory = new TemporaryDirectory();
        await SampleTraces.WriteAsync(
            directory.Path,
            [SampleTraces.Human(1)],
            dataset: new DatasetDescription { Teacher = "human", TokenIdentity = TokenIdentity.Text }
        );

        var statistics = await ComputeAsync(directory.Path);

        Assert.Null(statistics.CapturedMass);
        Assert.Null(statistics.Entropy);
        Assert.Equal(0, statistics.BytesPerToken);
    }

    static async Task<TraceStatistics> ComputeAsync(string path) =>
        await TraceStatistics.ComputeAsync(await SampleTraces.OpenAsync(path), TestContext.Current.CancellationToken);
}
