using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>A folder of trace shards with the teacher's tokenizer beside them.</summary>
sealed class TraceFolder : IDisposable
{
    public const int K = 4;
    readonly TemporaryDirectory _directory = new();

    public TraceFolder(string corpus = "one and two are three", int size = 270) =>
        Tokenizer = Tokenizer.Load(WriteTokenizer(TrainStage.StoredTokenizer, corpus, size, "<|end|>"));

    public string Path => _directory.Path;

    public Tokenizer Tokenizer { get; }

    /// <summary>Makes a folder with a tokenizer and a chat template.</summary>
    /// <param name="turnEnd">Text that the template writes behind each turn; none unless given.</param>
    public string WriteTokenizer(string name, string corpus, int size, string end, string? turnEnd = null)
    {
        var directory = Directory.CreateDirectory(_directory.File(name)).FullName;
        BpeTrainer.Train([corpus], size, turnEnd is null ? [new(end)] : [new(end), new(turnEnd)], directory);
        File.WriteAllText(
            System.IO.Path.Combine(directory, "tokenizer_config.json"),
            $$$"""{"eos_token": "{{{end}}}", "chat_template": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{{turnEnd}}}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"}"""
        );
        return directory;
    }

    public string Out(string name) => _directory.File($"out-{name}");

    /// <summary>Completions of "1 and 2 are 3" and the like, the soft targets spread over the drawn token and three others.</summary>
    public Trace Create(int index)
    {
        var text = $"{index} and {index * 2} are {index * 3}";
        int[] ids = [.. Tokenizer.Encode(text), Tokenizer.EndOfSequenceIds.Single()];
        double[] shares = [0.6, 0.2, 0.1, 0.05];
        return new Trace
        {
            Id = $"{index:x32}",
            ProblemId = $"problem-{index}",
            Source = "sums",
            Messages = [new ChatMessage("user", $"add {index}")],
            Reasoning = "",
            Answer = text,
            Generation = text,
            ExpectedAnswer = text,
            FinishReason = "stop",
            Verdict = "correct",
            Teacher = "teacher",
            PromptTokenIds = Tokenizer.Encode($"<user>add {index}"),
            Logprobs = new TokenLogprobs
            {
                K = K,
                TokenIds = ids,
                Logprobs = [.. ids.Select(_ => MathF.Log(0.6f))],
                TopIds = [.. ids.SelectMany(id => Enumerable.Range(0, K).Select(i => (id + 11 * i) % 250))],
                TopLogprobs = [.. ids.SelectMany(_ => shares.Select(share => (float)Math.Log(share)))],
            },
        };
    }

    public DatasetDescription Dataset =>
        new()
        {
            Teacher = "teacher",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = Tokenizer.Hash,
            VocabularySize = Tokenizer.VocabularySize,
            TopK = K,
            ChatTemplateHash = ChatTemplate.Load(_directory.File(TrainStage.StoredTokenizer)).Hash,
        };

    public async Task WriteAsync(
        IEnumerable<Trace> traces,
        SoftTargetLayout layout = SoftTargetLayout.Compact,
        string? tokenizerHash = null,
        DatasetDescription? dataset = null,
        long rowGroupBytes = 32 << 20
    )
    {
        dataset ??= Dataset with { TokenizerHash = tokenizerHash ?? Tokenizer.Hash };
        var cancellation = TestContext.Current.CancellationToken;
        await using var writer = await ShardWriter.CreateAsync(
            Path,
            dataset,
            new ShardWriterOptions { Layout = layout, RowGroupBytes = rowGroupBytes },
            cancellation
        );
        foreach (var trace in traces)
        {
            await writer.WriteAsync(trace, cancellation);
        }

        await writer.CompleteAsync(cancellation);
    }

    public void Dispose() => _directory.Dispose();
}
