using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

public sealed class ShardWriterTests
{
    static readonly ShardWriterOptions ManyShards = new() { RowGroupBytes = 20_000, ShardBytes = 8_000 };

    [Fact]
    public async Task Writer_BeforeCompletion_ShowsNothing()
    {
        using var directory = new TemporaryDirectory();
        await using var writer = await SampleTraces.CreateWriterAsync(directory.Path, SampleTraces.Dataset(), ManyShards);
        for (var i = 0; i < 20; i++)
        {
            await writer.WriteAsync(SampleTraces.Create(i), TestContext.Current.CancellationToken);
        }

        Assert.All(FileNames(directory), name => Assert.EndsWith(".tmp", name));
        Assert.Equal(20, writer.Rows);
    }

    [Fact]
    public async Task Writer_DisposedWithoutCompletion_LeavesAnEarlierDataSetAsItWas()
    {
        using var directory = new TemporaryDirectory();
        await SampleTraces.WriteAsync(directory.Path, [SampleTraces.Create(1)]);
        var before = Contents(directory);

        await using (var writer = await SampleTraces.CreateWriterAsync(directory.Path, SampleTraces.Dataset(), ManyShards))
        {
            for (var i = 0; i < 20; i++)
            {
                await writer.WriteAsync(SampleTraces.Create(i), TestContext.Current.CancellationToken);
            }
        }

        Assert.Equal(before, Contents(directory));
    }

    [Fact]
    public async Task Writer_AfterAKilledOne_CleansUpAndReplacesTheDataSet()
    {
        using var directory = new TemporaryDirectory();
        await SampleTraces.WriteAsync(directory.Path, Enumerable.Range(0, 20).Select(i => SampleTraces.Create(i)), ManyShards);
        File.WriteAllText(directory.File("train-00007.parquet.tmp"), "half a shard");
        File.WriteAllText(directory.File("manifest.json.tmp"), "{");
        File.WriteAllText(directory.File("notes.txt"), "mine");

        var manifest = await SampleTraces.WriteAsync(directory.Path, [SampleTraces.Create(100)]);

        Assert.Equal(["README.md", "manifest.json", "notes.txt", "train-00000-of-00001.parquet"], FileNames(directory));
        Assert.Equal(1, manifest.Rows);
        Assert.Equal("problem-100", Assert.Single(await SampleTraces.ReadAsync(directory.Path)).ProblemId);
    }

    [Fact]
    public async Task Manifest_CountsWhatTheShardsHold()
    {
        using var directory = new TemporaryDirectory();

        var manifest = await SampleTraces.WriteAsync(
            directory.Path,
            Enumerable.Range(0, 20).Select(i => SampleTraces.Create(i, tokens: 10)),
            ManyShards
        );

        Assert.True(manifest.Shards.Count > 1);
        Assert.Equal(
            manifest.Shards.Select((_, i) => $"train-{i:D5}-of-{manifest.Shards.Count:D5}.parquet"),
            manifest.Shards.Select(shard => shard.File)
        );
        Assert.Equal((20, 200), (manifest.Rows, manifest.Tokens));
        Assert.Equal(20, manifest.Shards.Sum(shard => shard.Rows));
        Assert.All(manifest.Shards, shard => Assert.Equal(shard.Bytes, new FileInfo(directory.File(shard.File)).Length));
        Assert.Equal(SampleTraces.Dataset(), ShardManifest.Load(directory.Path)!.Dataset);
    }

    [Fact]
    public async Task EqualTraces_GiveEqualBytes()
    {
        using var one = new TemporaryDirectory();
        using var other = new TemporaryDirectory();

        foreach (var directory in new[] { one, other })
        {
            await SampleTraces.WriteAsync(directory.Path, Enumerable.Range(0, 20).Select(i => SampleTraces.Create(i)), ManyShards);
        }

        Assert.Equal(Contents(one), Contents(other));
    }

    [Fact]
    public async Task WriteShardAsync_SameTraces_HasTheSameBytesAndTellsWhatIsInIt()
    {
        using var directory = new TemporaryDirectory();
        var traces = Enumerable
            .Range(0, 20)
            .Select(i => SampleTraces.Create(i) with { Seed = i, Answer = i is 6 or 7 ? " \n" : "42" })
            .ToList();
        Assert.NotNull(traces[7].ToolCalls);
        var manifest = await SampleTraces.WriteAsync(directory.File("set"), traces);

        var entry = await ShardWriter.WriteShardAsync(
            directory.File("alone.shard"),
            SampleTraces.Dataset(),
            traces.ToAsyncEnumerable(),
            cancellationToken: TestContext.Current.CancellationToken
        );

        Assert.Equal(manifest.Shards.Single() with { File = "alone.shard" }, entry);
        Assert.Equal(
            entry.Sha256,
            Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(directory.File("alone.shard"))))
        );
        var heads = await ShardReader
            .ReadHeadsAsync(directory.File("alone.shard"), TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(
            traces.Select(
                (trace, i) => new TraceHead(TraceKey.Of(trace.Id), trace.Verdict, trace.FinishReason, i != 6, i, trace.ExpectedAnswer)
            ),
            heads
        );
        Assert.Equal(["alone.shard"], FileNames(directory));
    }

    [Fact]
    public async Task NoTraces_MakeAnEmptyButReadableDataSet()
    {
        using var directory = new TemporaryDirectory();

        var manifest = await SampleTraces.WriteAsync(directory.Path, []);

        Assert.Equal(0, manifest.Rows);
        Assert.Empty(await SampleTraces.ReadAsync(directory.Path));
    }

    [Fact]
    public async Task Card_NamesTheTeacherAndExplainsTheColumns()
    {
        using var directory = new TemporaryDirectory();
        await SampleTraces.WriteAsync(directory.Path, [SampleTraces.Create(1)]);

        var card = File.ReadAllText(directory.File("README.md"));

        Assert.StartsWith("---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: train-*.parquet\n", card);
        Assert.Contains("| teacher | test/teacher |", card);
        Assert.Contains("- n<1K\n", card);
        Assert.Contains("## The format of `soft_targets`", card);
        Assert.All(ShardColumns.Create(SoftTargetLayout.Compact), column => Assert.Contains($"`{column.Field.Name}`", card));
    }

    [Fact]
    public async Task Trace_ThatContradictsTheDescription_IsRefusedByName()
    {
        using var directory = new TemporaryDirectory();
        await using var writer = await SampleTraces.CreateWriterAsync(directory.Path, SampleTraces.Dataset(k: 20));
        var trace = SampleTraces.Create(1, tokens: 3);
        var logprobs = trace.Logprobs!;

        async Task<string> Refusal(Data.Generation.TokenLogprobs changed) =>
            (
                await Assert.ThrowsAsync<InvalidInputException>(() =>
                    writer.WriteAsync(trace with { Logprobs = changed }, TestContext.Current.CancellationToken)
                )
            ).Message;

        Assert.Contains("has 5 alternatives a token", await Refusal(SampleTraces.Create(1, tokens: 3, k: 5).Logprobs!));
        Assert.Contains("token 1 has id 1000", await Refusal(logprobs with { TokenIds = [1, 1000, 2] }));
        Assert.Contains("token 2 has logprob NaN", await Refusal(logprobs with { Logprobs = [-1, -1, float.NaN] }));
        Assert.Contains("out of order at rank 1", await Refusal(logprobs with { TopLogprobs = [.. logprobs.TopLogprobs.Reverse()] }));
        Assert.Contains("sum to", await Refusal(logprobs with { TopLogprobs = [.. logprobs.TopLogprobs.Select(_ => -0.1f)] }));
        Assert.Contains(
            $"has alternative {logprobs.TopIds[0]} twice",
            await Refusal(logprobs with { TopIds = [.. logprobs.TopIds.Select(_ => logprobs.TopIds[0])] })
        );
        Assert.Contains("are not 3 tokens × 20", await Refusal(logprobs with { TopIds = [1, 2] }));
        Assert.Contains(trace.Id, await Refusal(logprobs with { TopIds = [] }));
    }

    [Theory]
    [InlineData("file")]
    [InlineData("file/traces")]
    [InlineData("file/deep/traces")]
    public async Task Directory_ThatIsOrIsBelowAFile_IsBadInputThatNamesIt(string path)
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory.File("file"), "");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            SampleTraces.CreateWriterAsync(directory.File(path), SampleTraces.Dataset())
        );

        Assert.Contains(directory.File(path), error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task FullDisk_IsBadInput_AndLeavesNothing()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "this system has no /dev/full");
        using var directory = new TemporaryDirectory();
        await using (var writer = await SampleTraces.CreateWriterAsync(directory.Path, SampleTraces.Dataset(), ManyShards))
        {
            // The second shard goes to a device that is always full.
            File.CreateSymbolicLink(directory.File("train-00001.parquet.tmp"), "/dev/full");
            var error = await Assert.ThrowsAsync<ExternalFailureException>(async () =>
            {
                for (var i = 0; i < 100; i++)
                {
                    await writer.WriteAsync(SampleTraces.Create(i), TestContext.Current.CancellationToken);
                }
            });
            Assert.Contains("the disk is full", error.Message);
            Assert.Contains(directory.Path, error.Message);
        }

        Assert.Empty(FileNames(directory));
    }

    static string[] FileNames(TemporaryDirectory directory) =>
        [.. Directory.GetFiles(directory.Path).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    static string[] Contents(TemporaryDirectory directory) =>
        [
            .. FileNames(directory)
                .Select(name =>
                    $"{name} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(directory.File(name))))}"
                ),
        ];
}
