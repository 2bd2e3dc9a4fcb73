using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using Xunit;

namespace TraceDistill.Tests.Support;

/// <summary>Small decoders of every family, by name, and batches for them.</summary>
public static class DecoderShapes
{
    internal static readonly ModelConfiguration Grouped = new()
    {
        VocabSize = 50,
        HiddenSize = 48,
        IntermediateSize = 44,
        NumHiddenLayers = 2,
        NumAttentionHeads = 6,
        NumKeyValueHeads = 2,
        HeadDim = 8,
        MaxPositionEmbeddings = 128,
        TieWordEmbeddings = true,
        InitializerRange = 0.3,
    };

    internal static readonly ModelConfiguration WideHeads = Grouped with
    {
        NumAttentionHeads = 2,
        NumKeyValueHeads = 2,
        HeadDim = 32,
        IntermediateSize = 64,
        TieWordEmbeddings = false,
    };

    /// <summary>States of more channels than whole vectors take.</summary>
    internal static readonly ModelConfiguration Recurrent = Grouped with
    {
        Family = ModelFamily.MinGru,
        NumAttentionHeads = 0,
        NumKeyValueHeads = 0,
        HeadDim = 0,
        Recurrence = new() { StateSize = 70, ConvKernel = 4 },
    };

    public static TheoryData<string> All =>
        [
            "grouped",
            "wide",
            "biased",
            "qwen2",
            "qwen3",
            "qwen3 window",
            "mistral",
            "phi3",
            "phi3 partial",
            "gemma2",
            "gemma3",
            "olmo2",
            "smollm3",
            "qwen3_moe",
            "mixtral",
            "mingru",
            "mingru without convolution",
        ];

    internal static ModelConfiguration Shape(string name) =>
        name switch
        {
            "grouped" => Grouped,
            "wide" => WideHeads,
            "biased" => Grouped with { AttentionBias = true },
            "qwen2" => Grouped with { Family = ModelFamily.Qwen2 },
            "qwen3" => WideHeads with { Family = ModelFamily.Qwen3 },
            "qwen3 window" => WideHeads with { Family = ModelFamily.Qwen3, SlidingWindow = 9, SlidingLayers = [false, true] },
            "mistral" => Grouped with { Family = ModelFamily.Mistral, SlidingWindow = 20 },
            "phi3" => Grouped with { Family = ModelFamily.Phi3, SlidingWindow = 64 },
            "phi3 partial" => WideHeads with { Family = ModelFamily.Phi3, PartialRotaryFactor = 0.75 },
            "gemma2" => Grouped with
            {
                Family = ModelFamily.Gemma2,
                SlidingWindow = 7,
                SlidingLayers = [true, false],
                QueryPreAttnScalar = 20,
                AttentionSoftCap = 50,
                LogitSoftCap = 30,
            },
            "gemma3" => WideHeads with
            {
                Family = ModelFamily.Gemma3,
                NumHiddenLayers = 6,
                SlidingWindow = 33,
                SlidingLayers = [true, true, true, true, true, false],
                RopeTheta = 1_000_000,
                LocalRopeTheta = 10_000,
                QueryPreAttnScalar = 32,
                NumKeyValueHeads = 1,
            },
            "olmo2" => Grouped with { Family = ModelFamily.Olmo2 },
            "smollm3" => Grouped with { Family = ModelFamily.SmolLM3, NumHiddenLayers = 4, NoRopeLayers = [3] },
            "mingru" => Recurrent,
            "mingru without convolution" => Recurrent with
            {
                TieWordEmbeddings = false,
                Recurrence = new() { StateSize = 33, ConvKernel = 1 },
            },
            "qwen3_moe" => WideHeads with
            {
                Family = ModelFamily.Qwen3Moe,
                NumHiddenLayers = 3,
                Experts = new()
                {
                    NumExperts = 6,
                    NumExpertsPerToken = 3,
                    IntermediateSize = 20,
                    NormalizesTopK = false,
                    RouterLossWeight = 0.3,
                    DenseLayers = [1],
                },
            },
            _ => Grouped with
            {
                Family = ModelFamily.Mixtral,
                Experts = new()
                {
                    NumExperts = 5,
                    NumExpertsPerToken = 2,
                    IntermediateSize = 44,
                    NormalizesTopK = true,
                    RouterLossWeight = 0.5,
                },
            },
        };

    /// <summary>Norms and biases as a training leaves them: neither one nor zero.</summary>
    internal static ModelParameters Parameters(string shape, long seed, int? layers = null)
    {
        var configuration = Shape(shape);
        var parameters = new ModelParameters(layers is null ? configuration : configuration with { NumHiddenLayers = layers.Value });
        parameters.Initialize(seed);
        var random = new Random((int)seed);
        foreach (var name in parameters.Names.Where(name => parameters.ShapeOf(name).Length == 1))
        {
            foreach (ref var value in parameters.Values(name))
            {
                value += (float)(0.5 * (random.NextDouble() - 0.5));
            }
        }

        return parameters;
    }

    internal static TokenBatch Batch(params int[] lengths)
    {
        var random = new Random(3);
        return new TokenBatch([.. Enumerable.Range(0, lengths.Sum()).Select(_ => random.Next(50))], lengths);
    }

    internal static IEnumerable<int[]> Sequences(TokenBatch batch)
    {
        var start = 0;
        foreach (var length in batch.Lengths)
        {
            yield return batch.Ids[start..(start += length)];
        }
    }
}
