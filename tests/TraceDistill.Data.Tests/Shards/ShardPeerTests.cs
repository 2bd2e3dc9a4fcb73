using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Tests.Shards.Codec;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

/// <summary>Other programs read what this one writes, and this one reads what they make of it.</summary>
public sealed class ShardPeerTests : IDisposable
{
    static readonly Trace[] Traces =
    [
        .. Enumerable.Range(0, 25).Select(i => SampleTraces.Create(i, tokens: 5 * i)),
        SampleTraces.Human(25),
    ];
    readonly TemporaryDirectory _directory = new();

    /// <summary>Rows as they stand in the shards, one shard after the other.</summary>
    string InOrder =>
        $"(SELECT * FROM read_parquet('{_directory.Path}/train-*.parquet', "
        + "filename = true, file_row_number = true) ORDER BY filename, file_row_number)";

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(SoftTargetLayout.Compact)]
    [InlineData(SoftTargetLayout.Plain)]
    public async Task DuckDb_ReadsEveryColumn_AsItWasWritten(SoftTargetLayout layout)
    {
        await WriteAsync(layout);

        var readable =
            layout == SoftTargetLayout.Compact
                ? "epoch_us(created_at) AS created_at, hex(soft_targets) AS soft_targets"
                : "epoch_us(created_at) AS created_at";
        var rows = DuckDb.Query(
            $"SELECT to_json(t) FROM (SELECT * EXCLUDE (filename, file_row_number) REPLACE ({readable}) FROM {InOrder}) t"
        );

        Assert.Equal(Traces.Select(trace => Expected(trace, layout)), rows.Select(row => JsonNode.Parse(row)!), JsonNode.DeepEquals);
    }

    [Fact]
    public async Task DuckDb_SeesTheDocumentedTypes()
    {
        await WriteAsync(SoftTargetLayout.Compact);

        var columns = DuckDb.Query($"SELECT column_name || ' ' || column_type FROM (DESCRIBE SELECT * FROM '{_directory.Path}/*.parquet')");

        Assert.Equal(
            [
                "id VARCHAR",
                "problem_id VARCHAR",
                "source VARCHAR",
                "messages STRUCT(\"role\" VARCHAR, \"content\" VARCHAR)[]",
                "reasoning VARCHAR",
                "answer VARCHAR",
                "generation VARCHAR",
                "expected_answer VARCHAR",
                "finish_reason VARCHAR",
                "verdict VARCHAR",
                "sample_index INTEGER",
                "seed BIGINT",
                "temperature DOUBLE",
                "top_p DOUBLE",
                "teacher VARCHAR",
                "prompt_tokens INTEGER",
                "completion_tokens INTEGER",
                "latency_ms INTEGER",
                "created_at TIMESTAMP WITH TIME ZONE",
                "token_ids INTEGER[]",
                "token_logprobs FLOAT[]",
                "soft_targets BLOB",
                "prompt_token_ids INTEGER[]",
                "tool_calls VARCHAR",
            ],
            columns
        );
    }

    [Theory]
    [InlineData(SoftTargetLayout.Compact)]
    [InlineData(SoftTargetLayout.Plain)]
    public async Task ShardThatDuckDbRewrote_IsReadTheSame(SoftTargetLayout layout)
    {
        await WriteAsync(layout);
        var metadata = new ShardMetadata(ShardManifest.CurrentFormatVersion, SampleTraces.Dataset(), layout).ToJson().Replace("'", "''");
        var copy = _directory.File("copy/all.parquet");
        Directory.CreateDirectory(_directory.File("copy"));
        DuckDb.Query(
            $"COPY (SELECT * FROM '{_directory.Path}/train-*.parquet' ORDER BY id) TO '{copy}' (FORMAT parquet, "
                + $"COMPRESSION zstd, KV_METADATA {{ {ShardMetadata.Key}: '{metadata}' }})"
        );

        var original = await SampleTraces.ReadAsync(_directory.Path);
        var rewritten = await SampleTraces.ReadAsync(copy);

        Assert.Equal(original.Select(Text), rewritten.Select(Text));
    }

    [Fact]
    public async Task ShardFromBeforeToolCalls_IsReadWithoutThem()
    {
        await WriteAsync(SoftTargetLayout.Compact);
        var metadata = new ShardMetadata(1, SampleTraces.Dataset(), SoftTargetLayout.Compact).ToJson().Replace("'", "''");
        var copy = _directory.File("older.parquet");
        DuckDb.Query(
            $"COPY (SELECT * EXCLUDE (tool_calls) FROM '{_directory.Path}/train-*.parquet' ORDER BY id) TO "
                + $"'{copy}' (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{ {ShardMetadata.Key}: '{metadata}' }})"
        );

        var older = await SampleTraces.ReadAsync(copy);

        Assert.Equal(Traces.Select(trace => trace.Id), older.Select(trace => trace.Id));
        Assert.All(older, trace => Assert.Null(trace.ToolCalls));
        Assert.Contains(Traces, trace => trace.ToolCalls is not null);
    }

    [Fact]
    public async Task DecoderWrittenFromTheCard_GivesTheSameSoftTargets()
    {
        await WriteAsync(SoftTargetLayout.Compact);
        var decoded = await SampleTraces.ReadAsync(_directory.Path);

        var values = DuckDb.Query($"SELECT coalesce(hex(soft_targets), '') FROM {InOrder}");

        Assert.Equal(decoded.Count, values.Count);
        foreach (var (trace, value) in decoded.Zip(values))
        {
            Assert.Equal(trace.Logprobs is null, value.Length == 0);
            if (trace.Logprobs is { } logprobs)
            {
                var targets = CardDecoder.Decode(Convert.FromHexString(value), logprobs.TokenIds.Length, k: 20);
                Assert.Equal(logprobs.TokenIds, targets.TokenIds);
                Assert.Equal(logprobs.TopIds, targets.TopIds.SelectMany(row => row));
                Assert.All(logprobs.TopLogprobs.Zip(targets.TopLogprobs.SelectMany(row => row)), pair =>
                    Assert.Equal(pair.First, pair.Second, 1e-4)
                );

                // token_logprobs has them as they were told; here they are rounded to the grid, whose steps grow with the distance.
                Assert.All(logprobs.Logprobs.Zip(targets.Logprobs).Where(pair => pair.First > -5), pair =>
                    Assert.Equal(pair.First, pair.Second, 0.03)
                );
            }
        }
    }

    Task<ShardManifest> WriteAsync(SoftTargetLayout layout) =>
        SampleTraces.WriteAsync(
            _directory.Path,
            Traces,
            new ShardWriterOptions
            {
                Layout = layout,
                RowGroupBytes = 100_000,
                ShardBytes = 30_000,
            }
        );

    static string Text(Trace trace) => JsonSerializer.Serialize(trace);

    // The row as the contract has it, put together by hand.
    static JsonObject Expected(Trace trace, SoftTargetLayout layout)
    {
        var row = new JsonObject
        {
            ["id"] = trace.Id,
            ["problem_id"] = trace.ProblemId,
            ["source"] = trace.Source,
            ["messages"] = new JsonArray([
                .. trace.Messages.Select(message => new JsonObject { ["role"] = message.Role, ["content"] = message.Content }),
                new JsonObject { ["role"] = "assistant", ["content"] = $"<think>\n{trace.Reasoning}\n</think>\n\n{trace.Answer}" },
            ]),
            ["reasoning"] = trace.Reasoning,
            ["answer"] = trace.Answer,
            ["generation"] = trace.Generation,
            ["expected_answer"] = trace.ExpectedAnswer,
            ["finish_reason"] = trace.FinishReason,
            ["verdict"] = trace.Verdict,
            ["sample_index"] = trace.SampleIndex,
            ["seed"] = trace.Seed,
            ["temperature"] = trace.Temperature,
            ["top_p"] = trace.TopP,
            ["teacher"] = trace.Teacher,
            ["prompt_tokens"] = trace.PromptTokens,
            ["completion_tokens"] = trace.CompletionTokens,
            ["latency_ms"] = trace.LatencyMs,
            ["created_at"] = (trace.CreatedAt - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond,
            ["token_ids"] = List(trace.Logprobs?.TokenIds),
            ["token_logprobs"] = List(trace.Logprobs?.Logprobs),
        };
        if (layout == SoftTargetLayout.Compact)
        {
            row["soft_targets"] = trace.Logprobs is null ? null : Convert.ToHexString(SoftTargetCodec.Encode(trace.Logprobs));
        }
        else
        {
            row["topk_ids"] = List(trace.Logprobs?.TopIds);
            row["topk_logprobs"] = List(trace.Logprobs?.TopLogprobs);
        }

        row["prompt_token_ids"] = List(trace.PromptTokenIds);
        row["tool_calls"] = trace.ToolCalls;
        return row;
    }

    static JsonArray? List<T>(T[]? values) => values is null ? null : new JsonArray([.. values.Select(value => JsonValue.Create(value))]);
}
