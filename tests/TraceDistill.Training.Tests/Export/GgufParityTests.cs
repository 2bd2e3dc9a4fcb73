using TraceDistill.Core.Tokenization;
using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Training.Generation;
using Xunit;

namespace TraceDistill.Training.Tests.Export;

/// <summary>The same weights in our engine and, exported, in llama.cpp.</summary>
public sealed class GgufParityTests(GgufParityTests.Exports exports) : IClassFixture<GgufParityTests.Exports>
{
    static readonly ModelConfiguration Llama = SampleModel.Shape;
    static readonly ModelConfiguration Qwen2 = Llama with { Family = ModelFamily.Qwen2 };
    static readonly ModelConfiguration Qwen3 = Llama with { Family = ModelFamily.Qwen3, HeadDim = 24 };
    static readonly RopeScaling Yarn = new() { Type = RopeType.Yarn, Factor = 4, OriginalMaxPositionEmbeddings = 64 };

    static readonly Dictionary<string, ModelConfiguration> Models = new()
    {
        ["llama"] = Llama,
        ["llama tied"] = Llama with { TieWordEmbeddings = true, NumKeyValueHeads = 4 },
        ["llama with biases"] = Llama with { AttentionBias = true },
        ["llama with wide heads"] = Llama with { HeadDim = 40 },
        ["llama linear"] = Llama with { RopeScaling = new RopeScaling { Type = RopeType.Linear, Factor = 2 } },
        ["llama 3.1"] = Llama with { RopeTheta = 500_000, RopeScaling = new RopeScaling { Type = RopeType.Llama3, Factor = 8, OriginalMaxPositionEmbeddings = 32 } },
        ["llama yarn"] = Llama with { RopeScaling = Yarn },
        ["qwen2"] = Qwen2,
        ["qwen2 tied"] = Qwen2 with { TieWordEmbeddings = true, RopeTheta = 1_000_000 },
        ["qwen2 yarn"] = Qwen2 with { RopeScaling = Yarn with { AttentionFactor = 1.5 } },
        ["qwen3"] = Qwen3,
        ["qwen3 tied"] = Qwen3 with { TieWordEmbeddings = true, NumKeyValueHeads = 1 },
    };

    public static TheoryData<string> Names => [.. Models.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Run_RandomModel_LlamaCppGivesTheSameIdsLogitsAndContinuation(string model)
    {
        var (folder, answer) = exports.Of(model);
        var tokenizer = Tokenizer.Load(folder);
        using var engine = GenerationEngine.Load(folder);

        Assert.Equal(SampleModel.Shape.VocabSize, answer.Vocabulary);
        Assert.Equal(SampleModel.Texts.Select(text => tokenizer.Encode(text)), answer.Ids);
        var error = (await LogprobsAsync(engine, exports.Ids)).Zip(answer.Logits[0]).Max(row => row.First.Zip(LlamaCpp.LogSoftmax(row.Second)).Max(pair => Math.Abs(pair.First - pair.Second)));
        Assert.InRange(error, 0, 1e-3);
        Assert.Equal(await ContinueAsync(engine, exports.Prompt, Exports.Tokens), answer.Continuation);
    }

    /// <summary>All models exported, and asked.</summary>
    public sealed class Exports : IDisposable
    {
        public const int Tokens = 30;

        readonly TemporaryDirectory _folder = new();
        readonly Lazy<Dictionary<string, LlamaCppAnswer>> _answers;

        public Exports() => _answers = new(Ask);

        public int[] Ids { get; } = [.. Enumerable.Range(0, 120).Select(i => (i * 37 + i * i) % SampleModel.Shape.VocabSize)];

        public int[] Prompt => Ids[..20];

        internal (string Folder, LlamaCppAnswer Answer) Of(string model) => (_folder.File(model), _answers.Value[model]);

        public void Dispose() => _folder.Dispose();

        Dictionary<string, LlamaCppAnswer> Ask()
        {
            foreach (var (name, configuration) in Models)
            {
                SampleModel.Write(_folder.File(name), configuration);
                GgufExport.Run(new ExportSource(_folder.File(name)), _folder.File(name + ".gguf"), name, GgufQuantization.F32);
            }

            var answers = LlamaCpp.Ask(Models.Keys.Select(name => new LlamaCppRequest
            {
                File = _folder.File(name + ".gguf"), Texts = SampleModel.Texts, Sequences = [Ids], Prompt = Prompt, Tokens = Tokens,
            }));
            return Models.Keys.Zip(answers).ToDictionary();
        }
    }

    static async Task<int[]> ContinueAsync(GenerationEngine engine, int[] prompt, int tokens) =>
        (await engine.GenerateAsync(new SequenceRequest { Prompt = prompt, MaxTokens = tokens, Temperature = 0, StopTokens = [] })).Tokens;

    /// <summary>[T − 1][V]</summary>
    static async Task<double[][]> LogprobsAsync(GenerationEngine engine, int[] ids)
    {
        var width = engine.Configuration.VocabSize;
        var scores = (await engine.GenerateAsync(new SequenceRequest { Prompt = ids, MaxTokens = 0, PromptTopLogprobs = width })).PromptLogprobs!;
        return [.. scores.TopIds.Zip(scores.TopLogprobs).Chunk(width).Select(row => row.OrderBy(entry => entry.First).Select(entry => (double)entry.Second).ToArray())];
    }
}
