using System.ClientModel;
using System.Text;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;
using OpenAI.Chat;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.TestServer.Teaching;
using TraceDistill.Text.Chat;
using ChatMessage = TraceDistill.Text.Chat.ChatMessage;

namespace TraceDistill.Benchmarks.Collection;

/// <summary>Collects as one would with Semantic Kernel as it comes, into the shards of this project.</summary>
sealed class StockCollector(string url, int tokens, int top, int concurrency)
{
    static readonly Dictionary<string, int> Ids = Enumerable
        .Range(0, TestVocabulary.Size)
        .GroupBy(id => Encoding.Latin1.GetString(TestVocabulary.Bytes(id)))
        .ToDictionary(group => group.Key, group => group.First());

    readonly OpenAIChatCompletionService _service = new(
        "teacher",
        new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(url) })
    );

    /// <returns>Tokens collected.</returns>
    public async Task<long> CollectAsync(int traces, string directory)
    {
        var dataset = new DatasetDescription
        {
            Teacher = "teacher",
            TokenIdentity = TokenIdentity.Bytes,
            VocabularySize = TestVocabulary.Size,
            TopK = top,
        };
        await using var writer = await ShardWriter.CreateAsync(directory, dataset);
        using var writing = new SemaphoreSlim(1);
        await Parallel.ForEachAsync(
            Enumerable.Range(0, traces),
            new ParallelOptions { MaxDegreeOfParallelism = concurrency },
            async (index, cancellationToken) =>
            {
                var trace = await AskAsync(index, cancellationToken);
                await writing.WaitAsync(cancellationToken);
                try
                {
                    await writer.WriteAsync(trace, cancellationToken);
                }
                finally
                {
                    writing.Release();
                }
            }
        );
        return (await writer.CompleteAsync()).Tokens;
    }

    async Task<Trace> AskAsync(int index, CancellationToken cancellationToken)
    {
        var question = $"What is {index} + 2?";
        var history = new ChatHistory();
        history.AddUserMessage(question);
        var settings = new OpenAIPromptExecutionSettings
        {
            Temperature = 1,
            TopP = 1,
            MaxTokens = tokens,
            Seed = index + 1,
            Logprobs = true,
            TopLogprobs = top,
        };
        var reply = await _service.GetChatMessageContentAsync(history, settings, kernel: null, cancellationToken);
        var completion = (ChatCompletion)reply.InnerContent!;
        return new Trace
        {
            Id = $"{index:x32}",
            ProblemId = $"p{index}",
            Source = "",
            Messages = [new ChatMessage("user", question)],
            Reasoning = "",
            Answer = reply.Content!,
            Generation = reply.Content!,
            ExpectedAnswer = $"{index + 2}",
            FinishReason = completion.FinishReason.ToString(),
            Verdict = "unverified",
            Teacher = "teacher",
            CompletionTokens = completion.Usage.OutputTokenCount,
            Logprobs = Columns(completion.ContentTokenLogProbabilities),
        };
    }

    TokenLogprobs Columns(IReadOnlyList<ChatTokenLogProbabilityDetails> entries)
    {
        var (topIds, topLogprobs) = (new int[entries.Count * top], new float[entries.Count * top]);
        Array.Fill(topIds, -1);
        Array.Fill(topLogprobs, float.NegativeInfinity);
        for (var t = 0; t < entries.Count; t++)
        {
            foreach (
                var (i, alternative) in entries[t].TopLogProbabilities.OrderByDescending(entry => entry.LogProbability).Take(top).Index()
            )
            {
                topIds[(t * top) + i] = IdOf(alternative.Utf8Bytes);
                topLogprobs[(t * top) + i] = alternative.LogProbability;
            }
        }

        return new TokenLogprobs
        {
            K = top,
            TokenIds = [.. entries.Select(entry => IdOf(entry.Utf8Bytes))],
            Logprobs = [.. entries.Select(entry => entry.LogProbability)],
            TopIds = topIds,
            TopLogprobs = topLogprobs,
        };
    }

    static int IdOf(ReadOnlyMemory<byte>? bytes) => Ids[Encoding.Latin1.GetString(bytes!.Value.Span)];
}
