using TraceDistill.Data.Shards;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

/// <summary>Shards of every format version give the same traces.</summary>
public sealed class FormatVersionTests : IDisposable
{
    /// <summary>Written by the program when its format version was 1: <c>messages</c> has the question alone.</summary>
    static readonly string Version1 = Path.Combine(
        TestPaths.RepositoryRoot,
        "tests",
        "TraceDistill.Data.Tests",
        "Shards",
        "FormatVersion1"
    );

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_ShardOfVersion1_HasTheConversationThatWasAnswered()
    {
        var traces = await SampleTraces.ReadAsync(Version1);

        Assert.Equal(["ed130c72c13a6da04b275f85befc439d", "88f218bf02dedd4ca0eb5308e8670e3f"], traces.Select(trace => trace.Id));
        Assert.Equal(
            [new ChatMessage("user", "what is 12+7?"), new ChatMessage("user", "what is 3*14?")],
            traces.Select(trace => Assert.Single(trace.Messages))
        );
        Assert.Equal("<think>we need 14*3. 14 is 10 and 4. 4*3=12, thus 10*3=100. ", traces[1].Generation);
        Assert.Equal((40, 3, 510), (traces[0].Logprobs!.Count, traces[0].Logprobs!.K, traces[0].Logprobs!.TopIds[0]));
    }

    [Fact]
    public async Task Write_TracesOfVersion1_GivesTheSameTracesInTheCurrentVersion()
    {
        var (traces, dataset) = (await SampleTraces.ReadAsync(Version1), (await SampleTraces.OpenAsync(Version1)).Dataset);

        var manifest = await SampleTraces.WriteAsync(_folder.Path, traces, dataset: dataset);

        Assert.Equal(2, manifest.FormatVersion);
        Assert.Equal(traces.Select(Text), (await SampleTraces.ReadAsync(_folder.Path)).Select(Text));
    }

    [Fact]
    public async Task Read_ShardsOfTwoVersions_ReadsEachByItsOwn()
    {
        var dataset = (await SampleTraces.OpenAsync(Version1)).Dataset;
        await SampleTraces.WriteAsync(_folder.Path, await SampleTraces.ReadAsync(Version1), dataset: dataset);
        var written = ShardManifest.Load(_folder.Path)!;
        var old = ShardManifest.Load(Version1)!.Shards[0];
        File.Move(_folder.File(written.Shards[0].File), _folder.File("train-00000-of-00002.parquet"));
        File.Copy(Path.Combine(Version1, old.File), _folder.File("train-00001-of-00002.parquet"));
        ShardManifest
            .Of(
                dataset,
                [written.Shards[0] with { File = "train-00000-of-00002.parquet" }, old with { File = "train-00001-of-00002.parquet" }]
            )
            .Save(_folder.Path);

        var traces = await SampleTraces.ReadAsync(_folder.Path);

        Assert.Equal(4, traces.Count);
        Assert.Equal(traces.Take(2).Select(Text), traces.Skip(2).Select(Text));
    }

    [Fact]
    public async Task Open_ShardOfALaterVersion_IsRefused()
    {
        await SampleTraces.WriteAsync(_folder.Path, [SampleTraces.Create(1)]);
        (ShardManifest.Load(_folder.Path)! with { FormatVersion = 3 }).Save(_folder.Path);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => SampleTraces.OpenAsync(_folder.Path));

        Assert.EndsWith("format_version is 3, and this program reads up to 2; use the version that wrote it", error.Message);
    }

    [Theory]
    [InlineData("", "4", "stop", "4")]
    [InlineData("2+2", "4", "stop", "<think>\n2+2\n</think>\n\n4")]
    [InlineData("2+", "", "length", "<think>\n2+")]
    [InlineData("2+2", "", "stop", "<think>\n2+2\n</think>\n\n")]
    [InlineData("2+2", "The answer is", "length", "<think>\n2+2\n</think>\n\nThe answer is")]
    public void FinalTurn_OfATrace_HasItsReasoningInTags(string reasoning, string answer, string finishReason, string content) =>
        Assert.Equal(
            new ChatMessage("assistant", content),
            FinalTurn.Of(SampleTraces.Create(1) with { Reasoning = reasoning, Answer = answer, FinishReason = finishReason })
        );

    static string Text(Data.Traces.Trace trace) => System.Text.Json.JsonSerializer.Serialize(trace);
}
