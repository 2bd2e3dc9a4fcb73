using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Tests.Support;

/// <summary>Made-up traces with soft targets as a language model gives them: mostly certain, sometimes wide open.</summary>
static class SampleTraces
{
    public const int VocabularySize = 1000;

    public static DatasetDescription Dataset(int k = 20) =>
        new()
        {
            Teacher = "test/teacher",
            PromptFunction = "Reasoning/Solve",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = "1111",
            VocabularySize = VocabularySize,
            ChatTemplateHash = "2222",
            TopK = k,
            Logprobs = LogprobKind.Raw,
            Temperature = 0.7,
            TopP = 0.95,
        };

    public static Trace Create(int index, int tokens = 50, int k = 20) =>
        new()
        {
            Id = $"{index:x32}",
            ProblemId = $"problem-{index}",
            Source = index % 2 == 0 ? "addition" : "gsm8k",
            Messages = [new ChatMessage("system", "Think first."), new ChatMessage("user", $"What is {index} + 1? 日本語 🙂\r\n\0end")],
            Reasoning = $"{index} and one more",
            Answer = $"{index + 1}",
            Generation = $"<think>{index} and one more</think>{index + 1}",
            ExpectedAnswer = $"{index + 1}",
            FinishReason = "stop",
            Verdict = index % 3 == 0 ? "incorrect" : "correct",
            SampleIndex = index % 4,
            Seed = long.MaxValue - index,
            Temperature = 0.7,
            TopP = 0.95,
            Teacher = "test/teacher",
            PromptTokens = 7,
            CompletionTokens = tokens,
            LatencyMs = 100 + index,
            CreatedAt = new DateTimeOffset(2026, 3, 4, 5, 6, 7, TimeSpan.Zero).AddTicks(12_345_670).AddMinutes(index),
            PromptTokenIds = [1, 2, 3, index % 100, 5, 6, 7],
            Logprobs = SoftTargets(new Random(index), tokens, k),
            ToolCalls = index % 3 == 1 ? """[{"id":"c","type":"function","function":{"name":"calc","arguments":"{\"a\": 2}"}}]""" : null,
        };

    /// <summary>A trace of text alone, as people write it.</summary>
    public static Trace Human(int index) =>
        Create(index, tokens: 0) with
        {
            FinishReason = "human",
            Teacher = "human",
            Logprobs = null,
            PromptTokenIds = [],
            Messages = [],
        };

    /// <summary>Softmax of Gaussian logits at a random temperature, the best k of each row, tokens drawn from the whole row.</summary>
    public static TokenLogprobs SoftTargets(Random random, int tokens, int k, int vocabulary = 200)
    {
        var result = new TokenLogprobs
        {
            K = k,
            TokenIds = new int[tokens],
            Logprobs = new float[tokens],
            TopIds = new int[tokens * k],
            TopLogprobs = new float[tokens * k],
        };
        var logits = new double[vocabulary];
        for (var t = 0; t < tokens; t++)
        {
            var scale = 1 + 9 * random.NextDouble();
            for (var v = 0; v < vocabulary; v++)
            {
                logits[v] = scale * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            }

            var largest = logits.Max();
            var logsumexp = largest + Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
            var order = Enumerable.Range(0, vocabulary).OrderByDescending(v => logits[v]).ToArray();
            for (var i = 0; i < k; i++)
            {
                result.TopIds[t * k + i] = order[i];
                result.TopLogprobs[t * k + i] = (float)(logits[order[i]] - logsumexp);
            }

            var left = random.NextDouble();
            var drawn = order.FirstOrDefault(v => (left -= Math.Exp(logits[v] - logsumexp)) <= 0, order[^1]);
            result.TokenIds[t] = drawn;
            result.Logprobs[t] = (float)(logits[drawn] - logsumexp);
        }

        return result;
    }

    public static Task<ShardWriter> CreateWriterAsync(string directory, DatasetDescription dataset, ShardWriterOptions? options = null) =>
        ShardWriter.CreateAsync(directory, dataset, options, TestContext.Current.CancellationToken);

    public static Task<ShardReader> OpenAsync(string path, ShardReaderOptions? options = null) =>
        ShardReader.OpenAsync(path, options, TestContext.Current.CancellationToken);

    public static async Task<ShardManifest> WriteAsync(
        string directory,
        IEnumerable<Trace> traces,
        ShardWriterOptions? options = null,
        DatasetDescription? dataset = null
    )
    {
        await using var writer = await CreateWriterAsync(directory, dataset ?? Dataset(), options);
        foreach (var trace in traces)
        {
            await writer.WriteAsync(trace);
        }

        return await writer.CompleteAsync();
    }

    public static async Task<List<Trace>> ReadAsync(string path, ShardReaderOptions? options = null)
    {
        var reader = await OpenAsync(path, options);
        var traces = new List<Trace>();
        await foreach (var trace in reader.ReadAsync())
        {
            traces.Add(trace);
        }

        return traces;
    }
}
