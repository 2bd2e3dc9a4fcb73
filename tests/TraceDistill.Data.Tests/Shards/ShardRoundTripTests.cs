using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Xunit;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

public sealed class ShardRoundTripTests
{
    /// <summary>Counts come back to the documented half step, without a tail, and the data set says that they are counts.</summary>
    [Theory]
    [InlineData(SoftTargetLayout.Plain, 12)]
    [InlineData(SoftTargetLayout.Compact, 12)]
    [InlineData(SoftTargetLayout.Plain, 256)]
    [InlineData(SoftTargetLayout.Compact, 256)]
    public async Task SampledSoftTargets_WrittenAndRead_AreTheSameCountsWithoutTail(SoftTargetLayout layout, int draws)
    {
        using var directory = new TemporaryDirectory();
        var written = SampledCounts.Of(new Random(3), tokens: 40, draws);
        var manifest = await SampleTraces.WriteAsync(
            directory.Path,
            [SampleTraces.Create(1) with { Logprobs = written }],
            new ShardWriterOptions { Layout = layout },
            SampleTraces.Dataset(draws) with
            {
                SampledLogprobs = draws,
            }
        );
        var read = Assert.Single(await SampleTraces.ReadAsync(directory.Path)).Logprobs!;

        Assert.Equal(draws, manifest.Dataset.SampledLogprobs);
        Assert.Equal(draws, (await SampleTraces.OpenAsync(Directory.GetFiles(directory.Path, "*.parquet")[0])).Dataset.SampledLogprobs);
        Assert.Contains($"sampled: of each token {draws} draws", File.ReadAllText(directory.File("README.md")), StringComparison.Ordinal);
        Assert.Equal(written.TopIds, read.TopIds);
        for (var t = 0; t < read.Count; t++)
        {
            var (row, exact) = (read.TopLogprobs[(t * draws)..((t + 1) * draws)], written.TopLogprobs[(t * draws)..((t + 1) * draws)]);
            Assert.Equal(float.NegativeInfinity, TailMass.Logprob(row));
            foreach (var (logprob, expected) in row.Zip(exact).TakeWhile(one => float.IsFinite(one.Second)))
            {
                var halfStep = layout == SoftTargetLayout.Plain ? 0 : (Math.Exp(-expected / 2) + Math.Sqrt(draws + 1)) / 1000;
                Assert.Equal(expected, logprob, halfStep);
                if (draws == 12)
                {
                    Assert.Equal(Math.Round(12 * Math.Exp(expected)), Math.Round(12 * Math.Exp(logprob)));
                }
            }
        }
    }

    [Fact]
    public async Task Traces_WrittenInPlainLayout_AreReadBackExactly()
    {
        using var directory = new TemporaryDirectory();
        Trace[] traces = [.. Enumerable.Range(0, 30).Select(i => SampleTraces.Create(i, tokens: i)), SampleTraces.Human(30)];
        await SampleTraces.WriteAsync(
            directory.Path,
            traces,
            new ShardWriterOptions
            {
                Layout = SoftTargetLayout.Plain,
                RowGroupBytes = 50_000,
                ShardBytes = 20_000,
            }
        );

        var read = await SampleTraces.ReadAsync(directory.Path);

        Assert.Equal(traces.Select(Text), read.Select(Text));
        Assert.True(Directory.GetFiles(directory.Path, "*.parquet").Length > 1, "the options ask for several shards");
    }

    [Fact]
    public async Task Traces_WrittenInCompactLayout_DifferInNothingButTheLogprobsOfAlternatives()
    {
        using var directory = new TemporaryDirectory();
        Trace[] traces = [.. Enumerable.Range(0, 30).Select(i => SampleTraces.Create(i, tokens: i)), SampleTraces.Human(30)];
        await SampleTraces.WriteAsync(directory.Path, traces);

        var read = await SampleTraces.ReadAsync(directory.Path);

        Assert.Equal(traces.Select(trace => Text(WithoutTopLogprobs(trace))), read.Select(trace => Text(WithoutTopLogprobs(trace))));
        foreach (var (expected, actual) in traces.Zip(read).Where(pair => pair.First.Logprobs is not null))
        {
            Assert.All(expected.Logprobs!.TopLogprobs.Zip(actual.Logprobs!.TopLogprobs), pair =>
                Assert.Equal(pair.First, pair.Second, 0.07f)
            );
        }
    }

    [Property(MaxTest = 15)]
    public async Task Traces_OfAnyTextAndLength_AreReadBackExactlyFromPlainLayout(NonNull<string>[] texts, byte k, int seed)
    {
        using var directory = new TemporaryDirectory();
        var random = new Random(seed);
        Trace[] traces =
        [
            .. texts.Select(
                (text, i) =>
                    (random.Next(4) == 0 ? SampleTraces.Human(i) : SampleTraces.Create(i, tokens: random.Next(12), k: k % 7)) with
                    {
                        Generation = Storable(text.Get),
                        Messages = [.. Enumerable.Range(0, i % 3).Select(m => new ChatMessage($"{m}", Storable(text.Get)))],
                    }
            ),
        ];
        var options = new ShardWriterOptions
        {
            Layout = SoftTargetLayout.Plain,
            RowGroupBytes = random.Next(1, 5000),
            ShardBytes = random.Next(1, 20_000),
        };
        await SampleTraces.WriteAsync(directory.Path, traces, options, SampleTraces.Dataset(k % 7));

        var read = await SampleTraces.ReadAsync(directory.Path);

        Assert.Equal(traces.Select(Text), read.Select(Text));
    }

    // Half a surrogate pair is no text that UTF-8 could hold.
    static string Storable(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    static Trace WithoutTopLogprobs(Trace trace) =>
        trace.Logprobs is null ? trace : trace with { Logprobs = trace.Logprobs with { TopLogprobs = [] } };

    static string Text(Trace trace) => JsonSerializer.Serialize(trace, Json);

    static readonly JsonSerializerOptions Json = new()
    {
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };
}
