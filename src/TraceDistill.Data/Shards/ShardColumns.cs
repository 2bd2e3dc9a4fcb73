using Parquet.Schema;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;

namespace TraceDistill.Data.Shards;

/// <summary>The columns of a shard, in order, and which part of a <see cref="Trace"/> each one takes.</summary>
static class ShardColumns
{
    public const string Id = "id";
    public const string ProblemId = "problem_id";
    public const string Source = "source";
    public const string Messages = "messages";
    public const string Role = "role";
    public const string Content = "content";
    public const string Reasoning = "reasoning";
    public const string Answer = "answer";
    public const string Generation = "generation";
    public const string ExpectedAnswer = "expected_answer";
    public const string FinishReason = "finish_reason";
    public const string Verdict = "verdict";
    public const string SampleIndex = "sample_index";
    public const string Seed = "seed";
    public const string Temperature = "temperature";
    public const string TopP = "top_p";
    public const string Teacher = "teacher";
    public const string PromptTokens = "prompt_tokens";
    public const string CompletionTokens = "completion_tokens";
    public const string LatencyMs = "latency_ms";
    public const string CreatedAt = "created_at";
    public const string TokenIds = "token_ids";
    public const string TokenLogprobs = "token_logprobs";
    public const string SoftTargets = "soft_targets";
    public const string TopIds = "topk_ids";
    public const string TopLogprobs = "topk_logprobs";
    public const string PromptTokenIds = "prompt_token_ids";
    public const string ToolCalls = "tool_calls";

    /// <summary>Fresh, empty buffers for one shard; their fields make up its schema.</summary>
    public static IReadOnlyList<ColumnBuffer> Create(SoftTargetLayout layout) =>
        [
            Text(Id, trace => trace.Id),
            Text(ProblemId, trace => trace.ProblemId),
            Text(Source, trace => trace.Source),
            new MessagesBuffer(Messages),
            Text(Reasoning, trace => trace.Reasoning),
            Text(Answer, trace => trace.Answer),
            Text(Generation, trace => trace.Generation),
            Text(ExpectedAnswer, trace => trace.ExpectedAnswer),
            Text(FinishReason, trace => trace.FinishReason),
            Text(Verdict, trace => trace.Verdict),
            Scalar(SampleIndex, trace => trace.SampleIndex),
            Scalar(Seed, trace => trace.Seed),
            Scalar(Temperature, trace => trace.Temperature),
            Scalar(TopP, trace => trace.TopP),
            Text(Teacher, trace => trace.Teacher),
            Scalar(PromptTokens, trace => trace.PromptTokens),
            Scalar(CompletionTokens, trace => trace.CompletionTokens),
            Scalar(LatencyMs, trace => trace.LatencyMs),
            new ScalarBuffer<DateTime>(
                new DateTimeDataField(
                    CreatedAt,
                    DateTimeFormat.Timestamp,
                    isAdjustedToUTC: true,
                    DateTimeTimeUnit.Micros,
                    isNullable: false
                ),
                trace => trace.CreatedAt.UtcDateTime
            ),
            new ListBuffer<int>(TokenIds, trace => trace.Logprobs?.TokenIds),
            new ListBuffer<float>(TokenLogprobs, trace => trace.Logprobs?.Logprobs),
            .. SoftTargetColumns(layout),
            new ListBuffer<int>(PromptTokenIds, trace => trace.PromptTokenIds),
            new OptionalTextBuffer(ToolCalls, trace => trace.ToolCalls),
        ];

    static ColumnBuffer[] SoftTargetColumns(SoftTargetLayout layout) =>
        layout switch
        {
            SoftTargetLayout.Plain =>
            [
                new ListBuffer<int>(TopIds, trace => Decoded(trace.Logprobs)?.TopIds),
                new ListBuffer<float>(TopLogprobs, trace => Decoded(trace.Logprobs)?.TopLogprobs),
            ],
            _ =>
            [
                new BinaryBuffer(SoftTargets, trace =>
                    trace.Logprobs is { } logprobs ? logprobs.Encoded ?? SoftTargetCodec.Encode(logprobs) : null
                ),
            ],
        };

    /// <summary>Traces out of a journal have their alternatives in the compact code alone.</summary>
    static TokenLogprobs? Decoded(TokenLogprobs? logprobs) =>
        logprobs is { TopIds.Length: 0, Encoded: { } code, K: > 0 } ? SoftTargetCodec.Decode(code, logprobs.Count, logprobs.K) : logprobs;

    static ScalarBuffer<ReadOnlyMemory<char>> Text(string name, Func<Trace, string> select) =>
        new(new DataField(name, typeof(string), isNullable: false), trace => select(trace).AsMemory());

    static ScalarBuffer<T> Scalar<T>(string name, Func<Trace, T> select)
        where T : struct => new(new DataField(name, typeof(T), isNullable: false), select);
}
