using Parquet;
using Parquet.Schema;
using TraceDistill.Data.Shards;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

public sealed class ShardReaderTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    string FirstShard => Directory.GetFiles(_directory.Path, "train-00000-of-*").Single();

    [Fact]
    public async Task Directory_WithoutManifest_IsReadFromItsShards()
    {
        await WriteShardsAsync();
        File.Delete(_directory.File("manifest.json"));

        var reader = await SampleTraces.OpenAsync(_directory.Path);

        Assert.Null(reader.Manifest);
        Assert.Equal(SampleTraces.Dataset(), reader.Dataset);
        Assert.Equal(
            Enumerable.Range(0, 20).Select(i => $"problem-{i}"),
            (await SampleTraces.ReadAsync(_directory.Path)).Select(trace => trace.ProblemId)
        );
    }

    [Fact]
    public async Task SingleFile_IsReadAlone()
    {
        var manifest = await WriteShardsAsync();

        var traces = await SampleTraces.ReadAsync(FirstShard);

        Assert.Equal(manifest.Shards[0].Rows, traces.Count);
    }

    [Fact]
    public async Task Reading_WithoutSoftTargets_KeepsTheTokens()
    {
        await WriteShardsAsync();

        var traces = await SampleTraces.ReadAsync(_directory.Path, new ShardReaderOptions { SoftTargets = false });

        Assert.Equal(SampleTraces.Create(3).Logprobs!.TokenIds, traces[3].Logprobs!.TokenIds);
        Assert.Equal(SampleTraces.Create(3).Logprobs!.Logprobs, traces[3].Logprobs!.Logprobs);
        Assert.Equal(0, traces[3].Logprobs!.K);
        Assert.Empty(traces[3].Logprobs!.TopIds);
    }

    [Fact]
    public async Task Reading_Cancelled_StopsAsCancellation()
    {
        await WriteShardsAsync();
        var reader = await SampleTraces.OpenAsync(_directory.Path);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in reader.ReadAsync(new CancellationToken(canceled: true))) { }
        });
    }

    [Fact]
    public async Task MissingPath_IsNamed() => Assert.Contains("no such file or directory", await RefusalAsync(_directory.File("nowhere")));

    [Fact]
    public async Task FileOfAnotherKind_IsNotCalledADamagedShard()
    {
        var problems = Path.Combine(_directory.Path, "problems.jsonl");
        await File.WriteAllTextAsync(problems, """{"problem": "1 + 1", "answer": "2"}""", TestContext.Current.CancellationToken);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ShardReader.OpenAsync(problems, cancellationToken: TestContext.Current.CancellationToken)
        );

        Assert.Equal($"{problems}: not a trace shard; name the folder that generate wrote, or a .parquet file in it", error.Message);
    }

    [Fact]
    public async Task EmptyDirectory_IsNotADataSet() => Assert.Contains("holds no trace shards", await RefusalAsync(_directory.Path));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task MissingShard_IsNamed(bool withManifest)
    {
        var manifest = await WriteShardsAsync();
        if (!withManifest)
        {
            File.Delete(_directory.File("manifest.json"));
        }
        File.Delete(_directory.File(manifest.Shards[1].File));

        Assert.Contains(manifest.Shards[1].File, await RefusalAsync(_directory.Path));
    }

    [Theory]
    [InlineData("../elsewhere.parquet")]
    [InlineData("/elsewhere.parquet")]
    [InlineData("a\0b.parquet")]
    [InlineData("")]
    public async Task ShardThatTheManifestPutsElsewhere_IsRefused(string file)
    {
        var manifest = await WriteShardsAsync();
        (manifest with { Shards = [manifest.Shards[0] with { File = file }] }).Save(_directory.Path);

        Assert.Contains("names a shard that is not a file beside it", await RefusalAsync(_directory.Path));
    }

    [Fact]
    public async Task ShardOfAnotherSize_IsNamed()
    {
        var manifest = await WriteShardsAsync();
        File.AppendAllText(FirstShard, "x");

        Assert.Contains($"the manifest says {manifest.Shards[0].Bytes}", await RefusalAsync(_directory.Path));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(100)]
    [InlineData(4000)]
    public async Task TruncatedShard_IsNamed(int length)
    {
        await WriteShardsAsync();
        File.WriteAllBytes(FirstShard, File.ReadAllBytes(FirstShard)[..length]);

        var message = await RefusalAsync(FirstShard);

        Assert.Contains(FirstShard, message);
        Assert.Contains("truncated", message);
    }

    [Fact]
    public async Task ChangedByte_IsFoundByTheChecksum()
    {
        await WriteShardsAsync();
        var bytes = File.ReadAllBytes(FirstShard);
        bytes[1000] ^= 1;
        File.WriteAllBytes(FirstShard, bytes);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => SampleTraces.ReadAsync(_directory.Path));

        Assert.Contains("SHA-256", error.Message);
        Assert.Contains(FirstShard, error.Message);
    }

    [Fact]
    public async Task ChangedBytes_WithoutChecksum_AreReadOrRefusedButNeverCrash()
    {
        await WriteShardsAsync();
        var original = File.ReadAllBytes(FirstShard);
        var random = new Random(1);
        var refused = 0;
        for (var round = 0; round < 60; round++)
        {
            var bytes = original.ToArray();
            for (var i = 0; i < 8; i++)
            {
                bytes[random.Next(4, bytes.Length - 8)] ^= (byte)random.Next(1, 256);
            }
            File.WriteAllBytes(FirstShard, bytes);
            try
            {
                await SampleTraces.ReadAsync(FirstShard);
            }
            catch (InvalidInputException error)
            {
                Assert.Contains(FirstShard, error.Message);
                refused++;
            }
        }

        Assert.True(refused > 30, $"only {refused} of 60 damaged shards were noticed");
    }

    [Fact]
    public async Task ShardOfAnotherTeacher_IsNamed()
    {
        await WriteShardsAsync();
        File.Delete(_directory.File("manifest.json"));
        using var other = new TemporaryDirectory();
        await SampleTraces.WriteAsync(other.Path, [SampleTraces.Create(1)], dataset: SampleTraces.Dataset() with { Teacher = "another" });
        File.Copy(Directory.GetFiles(other.Path, "*.parquet")[0], FirstShard, overwrite: true);

        Assert.Contains("another data set", await RefusalAsync(_directory.Path));
    }

    [Fact]
    public async Task Manifest_OfALaterFormatOrDamaged_IsNamed()
    {
        await WriteShardsAsync();
        var path = _directory.File("manifest.json");
        var text = File.ReadAllText(path);

        File.WriteAllText(path, text.Replace("\"format_version\": 2", "\"format_version\": 7"));
        Assert.Contains("format_version is 7", await RefusalAsync(_directory.Path));
        File.WriteAllText(path, text[..50]);
        Assert.Matches($"^{path}, line \\d+, .+: not a manifest", await RefusalAsync(_directory.Path));
        File.WriteAllText(path, text.Replace("\"compact\"", "\"dense\""));
        var line = text[..text.IndexOf("\"compact\"", StringComparison.Ordinal)].Count(character => character == '\n') + 1;
        Assert.Contains($"{path}, line {line}, $.layout: not a manifest", await RefusalAsync(_directory.Path));
    }

    [Fact]
    public async Task ForeignParquetFile_IsNotATraceShard()
    {
        await WriteForeignAsync(metadata: null, new DataField<int>("id"));

        Assert.Contains("not a trace shard", await RefusalAsync(_directory.File("foreign.parquet")));
    }

    [Theory]
    [InlineData("not JSON")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"format_version": 1, "layout": "compact"}""")]
    public async Task DamagedMetadata_IsRefused(string metadata)
    {
        await WriteForeignAsync(metadata, new DataField<int>("id"));

        Assert.Contains(_directory.File("foreign.parquet"), await RefusalAsync(_directory.File("foreign.parquet")));
    }

    [Fact]
    public async Task MissingOrIllTypedColumn_IsNamed()
    {
        var metadata = new ShardMetadata(1, SampleTraces.Dataset(), SoftTargetLayout.Compact).ToJson();

        await WriteForeignAsync(metadata, new DataField<int>("id"));
        Assert.Contains("column id is not text", await RefusalAsync(_directory.File("foreign.parquet")));
        await WriteForeignAsync(metadata, new DataField<string>("id"));
        Assert.Contains("has no column problem_id", await RefusalAsync(_directory.File("foreign.parquet")));
    }

    [Fact]
    public async Task OtherTokenizer_IsRefusedByName()
    {
        await WriteShardsAsync();
        var reader = await SampleTraces.OpenAsync(_directory.Path);

        reader.EnsureCompatible("1111", SampleTraces.VocabularySize);
        reader.EnsureCompatible("1111", SampleTraces.VocabularySize, "2222");
        var error = Assert.Throws<InvalidInputException>(() => reader.EnsureCompatible("3333", 152_064, "4444"));

        Assert.Contains("tokenizer is 1111 in the traces and 3333 in the student", error.Message);
        Assert.Contains("vocabulary size is 1000 in the traces and 152064 in the student", error.Message);
        Assert.Contains("chat template is 2222 in the traces and 4444 in the student", error.Message);
    }

    [Fact]
    public async Task TextWithoutTokens_GoesWithEveryTokenizer()
    {
        await SampleTraces.WriteAsync(
            _directory.Path,
            [SampleTraces.Human(1)],
            dataset: new DatasetDescription
            {
                Teacher = "human",
                TokenIdentity = TokenIdentity.Text,
                TokenizerHash = "1111",
            }
        );
        var reader = await SampleTraces.OpenAsync(_directory.Path);

        reader.EnsureCompatible("3333", 5);
    }

    Task<ShardManifest> WriteShardsAsync() =>
        SampleTraces.WriteAsync(
            _directory.Path,
            Enumerable.Range(0, 20).Select(i => SampleTraces.Create(i)),
            new ShardWriterOptions { RowGroupBytes = 20_000, ShardBytes = 8_000 }
        );

    static async Task<string> RefusalAsync(string path)
    {
        var message = (await Assert.ThrowsAsync<InvalidInputException>(() => ShardReader.OpenAsync(path))).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    async Task WriteForeignAsync(string? metadata, DataField field)
    {
        await using var stream = File.Create(_directory.File("foreign.parquet"));
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(field), stream);
        if (metadata is not null)
        {
            writer.CustomMetadata = new Dictionary<string, string> { [ShardMetadata.Key] = metadata };
        }
        using var group = writer.CreateRowGroup();
        if (field.ClrType == typeof(int))
        {
            await group.WriteAsync<int>(field, new[] { 1 });
        }
        else
        {
            await group.WriteAsync(field, ["a"]);
        }
    }
}
