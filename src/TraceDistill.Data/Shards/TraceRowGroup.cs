using System.Collections;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Shards.Parquet;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Shards;

/// <summary>The columns of a row group in memory, and the traces that they make up, each put together when it is asked for.</summary>
sealed class TraceRowGroup : IReadOnlyList<Trace>
{
    string _file = "";
    int _k;
    bool _endsWithAnswer,
        _decodes;
    string[] _id = [],
        _problemId = [],
        _source = [],
        _reasoning = [],
        _answer = [],
        _generation = [],
        _expectedAnswer = [];
    string[] _finishReason = [],
        _verdict = [],
        _teacher = [];
    int[] _sampleIndex = [],
        _promptTokens = [],
        _completionTokens = [],
        _latencyMs = [];
    long[] _seed = [];
    double[] _temperature = [],
        _topP = [];
    DateTime[] _createdAt = [];
    ListColumn<ReadOnlyMemory<char>>? _roles,
        _contents;
    ListColumn<int>? _tokenIds,
        _promptTokenIds,
        _topIds;
    ListColumn<float>? _tokenLogprobs,
        _topLogprobs;
    byte[]?[]? _softTargets;
    string?[]? _toolCalls;

    public int Count => _id.Length;

    /// <summary>Reads the columns that a trace needs.</summary>
    /// <param name="columns">Where from; one without a row group only has its columns checked.</param>
    /// <param name="metadata">Layout and k of the shard.</param>
    /// <param name="softTargets">True where alternatives are read.</param>
    /// <param name="decodes">
    /// True where those of a compact shard are decoded, which finds damage; else they are in <see cref="TokenLogprobs.Encoded"/> alone.
    /// </param>
    /// <param name="cancellationToken">Stops between columns.</param>
    public static async Task<TraceRowGroup> ReadAsync(
        ColumnReader columns,
        ShardMetadata metadata,
        bool softTargets,
        bool decodes,
        CancellationToken cancellationToken
    )
    {
        var compact = metadata.Layout == SoftTargetLayout.Compact;
        return new TraceRowGroup
        {
            _file = columns.File,
            _k = softTargets ? metadata.Dataset.TopK : 0,
            _decodes = decodes,
            _endsWithAnswer = metadata.FormatVersion >= ShardManifest.AnswerInMessages,
            _id = await columns.TextsAsync(ShardColumns.Id, cancellationToken),
            _problemId = await columns.TextsAsync(ShardColumns.ProblemId, cancellationToken),
            _source = await columns.TextsAsync(ShardColumns.Source, cancellationToken),
            _roles = await columns.StructTextsAsync(ShardColumns.Messages, ShardColumns.Role, cancellationToken),
            _contents = await columns.StructTextsAsync(ShardColumns.Messages, ShardColumns.Content, cancellationToken),
            _reasoning = await columns.TextsAsync(ShardColumns.Reasoning, cancellationToken),
            _answer = await columns.TextsAsync(ShardColumns.Answer, cancellationToken),
            _generation = await columns.TextsAsync(ShardColumns.Generation, cancellationToken),
            _expectedAnswer = await columns.TextsAsync(ShardColumns.ExpectedAnswer, cancellationToken),
            _finishReason = await columns.TextsAsync(ShardColumns.FinishReason, cancellationToken),
            _verdict = await columns.TextsAsync(ShardColumns.Verdict, cancellationToken),
            _sampleIndex = await columns.ScalarsAsync<int>(ShardColumns.SampleIndex, cancellationToken),
            _seed = await columns.ScalarsAsync<long>(ShardColumns.Seed, cancellationToken),
            _temperature = await columns.ScalarsAsync<double>(ShardColumns.Temperature, cancellationToken),
            _topP = await columns.ScalarsAsync<double>(ShardColumns.TopP, cancellationToken),
            _teacher = await columns.TextsAsync(ShardColumns.Teacher, cancellationToken),
            _promptTokens = await columns.ScalarsAsync<int>(ShardColumns.PromptTokens, cancellationToken),
            _completionTokens = await columns.ScalarsAsync<int>(ShardColumns.CompletionTokens, cancellationToken),
            _latencyMs = await columns.ScalarsAsync<int>(ShardColumns.LatencyMs, cancellationToken),
            _createdAt = await columns.ScalarsAsync<DateTime>(ShardColumns.CreatedAt, cancellationToken),
            _tokenIds = await columns.ListsAsync<int>(ShardColumns.TokenIds, cancellationToken),
            _tokenLogprobs = await columns.ListsAsync<float>(ShardColumns.TokenLogprobs, cancellationToken),
            _softTargets = softTargets && compact ? await columns.BinariesAsync(ShardColumns.SoftTargets, cancellationToken) : null,
            _topIds = softTargets && !compact ? await columns.ListsAsync<int>(ShardColumns.TopIds, cancellationToken) : null,
            _topLogprobs = softTargets && !compact ? await columns.ListsAsync<float>(ShardColumns.TopLogprobs, cancellationToken) : null,
            _promptTokenIds = await columns.ListsAsync<int>(ShardColumns.PromptTokenIds, cancellationToken),
            _toolCalls = await columns.OptionalTextsAsync(ShardColumns.ToolCalls, cancellationToken),
        };
    }

    /// <summary>The trace of a row.</summary>
    public Trace this[int row] =>
        new()
        {
            Id = _id[row],
            ProblemId = _problemId[row],
            Source = _source[row],
            Messages = Conversation(row),
            Reasoning = _reasoning[row],
            Answer = _answer[row],
            Generation = _generation[row],
            ExpectedAnswer = _expectedAnswer[row],
            FinishReason = _finishReason[row],
            Verdict = _verdict[row],
            SampleIndex = _sampleIndex[row],
            Seed = _seed[row],
            Temperature = _temperature[row],
            TopP = _topP[row],
            Teacher = _teacher[row],
            PromptTokens = _promptTokens[row],
            CompletionTokens = _completionTokens[row],
            LatencyMs = _latencyMs[row],
            CreatedAt = new DateTimeOffset(DateTime.SpecifyKind(_createdAt[row], DateTimeKind.Utc)),
            PromptTokenIds = _promptTokenIds![row]?.ToArray() ?? [],
            Logprobs = Logprobs(row),
            ToolCalls = _toolCalls?[row],
        };

    public IEnumerator<Trace> GetEnumerator() => Enumerable.Range(0, Count).Select(row => this[row]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    ChatMessage[] Conversation(int row)
    {
        var roles = _roles![row] ?? default;
        var contents = _contents![row] ?? default;
        if (roles.Length != contents.Length)
        {
            throw Damaged(row, ShardColumns.Messages, $"{roles.Length} roles and {contents.Length} contents");
        }

        if (_endsWithAnswer && (roles.IsEmpty || !roles.Span[^1].Span.SequenceEqual(FinalTurn.Role)))
        {
            throw Damaged(row, ShardColumns.Messages, $"the last turn is not the {FinalTurn.Role}'s");
        }

        var asked = roles.Length - (_endsWithAnswer ? 1 : 0);
        return [.. Enumerable.Range(0, asked).Select(i => new ChatMessage(roles.Span[i].ToString(), contents.Span[i].ToString()))];
    }

    TokenLogprobs? Logprobs(int row)
    {
        if (_tokenIds![row]?.ToArray() is not { } ids)
        {
            return null;
        }

        var logprobs = _tokenLogprobs![row]?.ToArray();
        if (logprobs?.Length != ids.Length)
        {
            throw Damaged(row, ShardColumns.TokenLogprobs, $"{logprobs?.Length ?? 0} logprobs for {ids.Length} tokens");
        }

        var (topIds, topLogprobs) = _softTargets is not null ? Compact(row, ids) : Plain(row, ids.Length);
        return new TokenLogprobs
        {
            K = _k,
            TokenIds = ids,
            Logprobs = logprobs,
            TopIds = topIds,
            TopLogprobs = topLogprobs,
            Encoded = _softTargets?[row],
        };
    }

    (int[] Ids, float[] Logprobs) Plain(int row, int tokens)
    {
        if (_topIds is null || _topLogprobs is null)
        {
            return ([], []);
        }

        var ids = _topIds[row] ?? default;
        var logprobs = _topLogprobs[row] ?? default;
        return ids.Length == (long)tokens * _k && logprobs.Length == ids.Length
            ? (ids.ToArray(), logprobs.ToArray())
            : throw Damaged(row, ShardColumns.TopIds, $"{ids.Length} ids and {logprobs.Length} logprobs for {tokens} tokens × {_k}");
    }

    (int[] Ids, float[] Logprobs) Compact(int row, int[] tokenIds)
    {
        if (_softTargets![row] is not { } blob)
        {
            throw Damaged(row, ShardColumns.SoftTargets, "no value");
        }

        if (!_decodes)
        {
            return ([], []);
        }

        try
        {
            var decoded = SoftTargetCodec.Decode(blob, tokenIds.Length, _k);

            // The tokens drawn stand in both columns: what damage the coder itself cannot see shows here.
            return decoded.TokenIds.AsSpan().SequenceEqual(tokenIds)
                ? (decoded.TopIds, decoded.TopLogprobs)
                : throw Damaged(row, ShardColumns.SoftTargets, "other tokens than token_ids");
        }
        catch (InvalidDataException error)
        {
            throw Damaged(row, ShardColumns.SoftTargets, error.Message);
        }
    }

    InvalidInputException Damaged(int row, string column, string what) =>
        new($"{_file}: trace {_id[row]}, column {column}: {what}; the shard is damaged, restore it or collect again");
}
