using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Tests.Reporting;

/// <summary>Traces of generated problems with made-up distributions, in real shards.</summary>
static class SyntheticTraces
{
    const int TopK = 8;
    const int Count = 160;

    static readonly IReadOnlyList<Problem> Problems = ProblemGenerator.Generate(["all"], Count, seed: 5, ProblemSplit.Train);

    /// <summary>A byte-level BPE tokenizer learned from the traces' own texts.</summary>
    public static void WriteTokenizer(string modelFolder) =>
        BpeTrainer.Train(
            Problems.Select(Text),
            512,
            [new AddedToken("<think>"), new AddedToken("</think>"), new AddedToken("<|end|>")],
            modelFolder
        );

    public static async Task WriteAsync(string folder)
    {
        var modelFolder = Directory.CreateTempSubdirectory("tracedistill-test-").FullName;
        WriteTokenizer(modelFolder);
        var tokenizer = Tokenizer.Load(modelFolder);
        Directory.Delete(modelFolder, recursive: true);
        var dataset = new DatasetDescription
        {
            Teacher = "synthetic-teacher",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = tokenizer.Hash,
            VocabularySize = tokenizer.VocabularySize,
            TopK = TopK,
        };
        await using var writer = await ShardWriter.CreateAsync(folder, dataset);
        foreach (var (index, problem) in Problems.Index())
        {
            await writer.WriteAsync(ToTrace(problem, index, tokenizer));
        }

        await writer.CompleteAsync();
    }

    static string Text(Problem problem) => $"<think>\n{problem.Solution}\n</think>\n{problem.Answer}<|end|>";

    static Trace ToTrace(Problem problem, int index, Tokenizer tokenizer)
    {
        var text = index == 0 ? $"<think>\n{SyntheticRun.Hostile}\n</think>\n?<|end|>" : Text(problem);
        var ids = tokenizer.Encode(text);
        var isWrong = index % 20 == 0;
        return new Trace
        {
            Id = $"{index:x32}",
            ProblemId = problem.Id,
            Source = problem.Family,
            Messages = [new ChatMessage("user", index == 0 ? $"{problem.Text} {SyntheticRun.Hostile}" : problem.Text)],
            Reasoning = problem.Solution ?? "",
            Answer = problem.Answer,
            Generation = text,
            ExpectedAnswer = problem.Answer,
            FinishReason = "stop",
            Verdict = isWrong ? "incorrect" : "correct",
            Teacher = "synthetic-teacher",
            CompletionTokens = ids.Length,
            Temperature = 1,
            TopP = 1,
            CreatedAt = DateTimeOffset.UnixEpoch,
            Logprobs = Distributions(ids, tokenizer.VocabularySize, index),
        };
    }

    /// <summary>Mostly certain; one token in six is a choice, and one in twenty of those goes to the second alternative.</summary>
    static TokenLogprobs Distributions(int[] ids, int vocabulary, int trace)
    {
        var (topIds, topLogprobs, logprobs) = (new int[ids.Length * TopK], new float[ids.Length * TopK], new float[ids.Length]);
        for (var token = 0; token < ids.Length; token++)
        {
            var luck = SyntheticRun.Chance($"{trace} {token}");
            var first = luck < 0.16 ? 0.45 + luck : 0.985 + 0.01 * luck;
            var isSecond = luck < 0.02;
            for (var rank = 0; rank < TopK; rank++)
            {
                var other = (ids[token] + 1 + rank * 37) % vocabulary;
                topIds[token * TopK + rank] = rank == (isSecond ? 1 : 0) ? ids[token] : other;
                topLogprobs[token * TopK + rank] = (float)Math.Log(rank == 0 ? first : (1 - first) * Math.Pow(0.5, rank) * 0.98);
            }

            logprobs[token] = topLogprobs[token * TopK + (isSecond ? 1 : 0)];
        }

        return new TokenLogprobs
        {
            K = TopK,
            TokenIds = ids,
            Logprobs = logprobs,
            TopIds = topIds,
            TopLogprobs = topLogprobs,
        };
    }
}
