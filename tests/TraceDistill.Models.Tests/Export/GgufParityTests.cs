using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>The same weights in our engine and, exported, in llama.cpp.</summary>
public sealed class GgufParityTests(GgufParityTests.Exports exports) : IClassFixture<GgufParityTests.Exports>
{
    static readonly ModelConfiguration Llama = SampleModel.Shape;
    static readonly ModelConfiguration Qwen2 = Llama with { Family = ModelFamily.Qwen2 };
    static readonly ModelConfiguration Qwen3 = Llama with { Family = ModelFamily.Qwen3, HeadDim = 24 };
    static readonly int[] EveryFourth = [3];
    static readonly bool[] EverySecond = [true, false, true];
    static readonly bool[] AllButEverySixth = [true, true, true, true, true, false, true];

    static readonly ModelConfiguration Gemma2 = Llama with
    {
        Family = ModelFamily.Gemma2,
        SlidingWindow = 40,
        SlidingLayers = EverySecond,
        QueryPreAttnScalar = 16,
        AttentionSoftCap = 50,
        LogitSoftCap = 30,
        TieWordEmbeddings = true,
    };

    static readonly ModelConfiguration Gemma3 = Llama with
    {
        Family = ModelFamily.Gemma3,
        NumHiddenLayers = 7,
        SlidingWindow = 40,
        SlidingLayers = AllButEverySixth,
        QueryPreAttnScalar = 16,
        RopeTheta = 1_000_000,
        LocalRopeTheta = 10_000,
        TieWordEmbeddings = true,
    };

    static readonly RopeScaling Yarn = new()
    {
        Type = RopeType.Yarn,
        Factor = 4,
        OriginalMaxPositionEmbeddings = 64,
    };

    static readonly Dictionary<string, ModelConfiguration> Models = new()
    {
        ["llama"] = Llama,
        ["llama tied"] = Llama with { TieWordEmbeddings = true, NumKeyValueHeads = 4 },
        ["llama with biases"] = Llama with { AttentionBias = true },
        ["llama with wide heads"] = Llama with { HeadDim = 40 },
        ["llama linear"] = Llama with
        {
            RopeScaling = new RopeScaling { Type = RopeType.Linear, Factor = 2 },
        },
        ["llama 3.1"] = Llama with
        {
            RopeTheta = 500_000,
            RopeScaling = new RopeScaling
            {
                Type = RopeType.Llama3,
                Factor = 8,
                OriginalMaxPositionEmbeddings = 32,
            },
        },
        ["llama yarn"] = Llama with { RopeScaling = Yarn },
        ["qwen2"] = Qwen2,
        ["qwen2 tied"] = Qwen2 with { TieWordEmbeddings = true, RopeTheta = 1_000_000 },
        ["qwen2 yarn"] = Qwen2 with { RopeScaling = Yarn with { AttentionFactor = 1.5 } },
        ["qwen3"] = Qwen3,
        ["qwen3 tied"] = Qwen3 with { TieWordEmbeddings = true, NumKeyValueHeads = 1 },
        ["mistral"] = Llama with { Family = ModelFamily.Mistral, SlidingWindow = 256 },
        ["phi3"] = Llama with { Family = ModelFamily.Phi3 },
        ["phi4 mini"] = Llama with
        {
            Family = ModelFamily.Phi3,
            PartialRotaryFactor = 0.75,
            TieWordEmbeddings = true,
            RopeScaling = Long(6),
        },
        ["phi3 long"] = Llama with { Family = ModelFamily.Phi3, RopeScaling = Long(8) },
        ["gemma2"] = Gemma2,
        ["gemma2 scaled"] = Gemma2 with { QueryPreAttnScalar = 9, HeadDim = 24 },
        ["gemma3"] = Gemma3,
        ["gemma3 scaled"] = Gemma3 with
        {
            QueryPreAttnScalar = 9,
            RopeScaling = new RopeScaling { Type = RopeType.Linear, Factor = 8 },
            TieWordEmbeddings = false,
        },
        ["olmo2"] = Llama with { Family = ModelFamily.Olmo2 },
        ["olmo2 tied"] = Llama with { Family = ModelFamily.Olmo2, TieWordEmbeddings = true },
        ["smollm3"] = Llama with
        {
            Family = ModelFamily.SmolLM3,
            NumHiddenLayers = 5,
            NoRopeLayers = EveryFourth,
            TieWordEmbeddings = true,
        },
        ["qwen3 moe"] = Qwen3 with
        {
            Family = ModelFamily.Qwen3Moe,
            Experts = new()
            {
                NumExperts = 6,
                NumExpertsPerToken = 2,
                IntermediateSize = 32,
                NormalizesTopK = true,
            },
        },
        ["mixtral"] = Llama with
        {
            Family = ModelFamily.Mixtral,
            Experts = new()
            {
                NumExperts = 4,
                NumExpertsPerToken = 2,
                IntermediateSize = 96,
                NormalizesTopK = true,
            },
        },
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
        var error = (await LogprobsAsync(engine, exports.Ids))
            .Zip(answer.Logits[0])
            .Max(row => row.First.Zip(LlamaCpp.LogSoftmax(row.Second)).Max(pair => Math.Abs(pair.First - pair.Second)));
        // llama.cpp looks GELU up in a table of float16
        Assert.InRange(error, 0, model.StartsWith("gemma", StringComparison.Ordinal) ? 1e-2 : 1e-3);
        Assert.Equal(await ContinueAsync(engine, exports.Prompt, Exports.Tokens), answer.Continuation);
    }

    /// <summary>Models exported, and asked.</summary>
    public sealed class Exports : IDisposable
    {
        public const int Tokens = 30;

        readonly TemporaryDirectory _folder = new();
        readonly Dictionary<string, LlamaCppAnswer> _answers = [];

        public int[] Ids { get; } = [.. Enumerable.Range(0, 120).Select(i => (i * 37 + i * i) % SampleModel.Shape.VocabSize)];

        public int[] Prompt => Ids[..20];

        internal (string Folder, LlamaCppAnswer Answer) Of(string model)
        {
            if (!_answers.TryGetValue(model, out var answer))
            {
                SampleModel.Write(_folder.File(model), Models[model]);
                GgufExport.Run(new ExportSource(_folder.File(model)), _folder.File(model + ".gguf"), model, GgufQuantization.F32);
                answer = LlamaCpp.Ask(
                    new LlamaCppRequest
                    {
                        File = _folder.File(model + ".gguf"),
                        Texts = SampleModel.Texts,
                        Sequences = [Ids],
                        Prompt = Prompt,
                        Tokens = Tokens,
                    }
                )[0];
                _answers.Add(model, answer);
            }

            return (_folder.File(model), answer);
        }

        public void Dispose() => _folder.Dispose();
    }

    /// <summary>
    /// llama.cpp decides by the length of its context, which is longer than the original one here: so are all sequences that are asked.
    /// </summary>
    static RopeScaling Long(int pairs) =>
        new()
        {
            Type = RopeType.LongRope,
            OriginalMaxPositionEmbeddings = 16,
            ShortFactor = [.. Enumerable.Range(0, pairs).Select(c => 1 + 0.1 * c)],
            LongFactor = [.. Enumerable.Range(0, pairs).Select(c => 1.0 + c * c)],
        };

    static async Task<int[]> ContinueAsync(GenerationEngine engine, int[] prompt, int tokens) =>
        (
            await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = prompt,
                    MaxTokens = tokens,
                    Temperature = 0,
                    StopTokens = [],
                }
            )
        ).Tokens;

    /// <summary>[T − 1][V]</summary>
    static async Task<double[][]> LogprobsAsync(GenerationEngine engine, int[] ids)
    {
        var width = engine.Configuration.VocabSize;
        var scores = (
            await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = ids,
                    MaxTokens = 0,
                    PromptTopLogprobs = width,
                }
            )
        ).PromptLogprobs!;
        return
        [
            .. scores
                .TopIds.Zip(scores.TopLogprobs)
                .Chunk(width)
                .Select(row => row.OrderBy(entry => entry.First).Select(entry => (double)entry.Second).ToArray()),
        ];
    }
}
