using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

[Trait("Category", "Numeric")]
public class TrainedWeightsTests
{
    /// <summary>Shapes of models, and patterns of their frozen parameters.</summary>
    public static TheoryData<string, string> Frozen =>
        new()
        {
            { "grouped", "embed_tokens" },
            { "grouped", "embed_tokens|layers.0." },
            { "grouped", "embed_tokens|layers.0.self_attn|layers.0.mlp|layers.0.post" },
            { "wide", "k_proj|up_proj|norm" },
            { "wide", "embed_tokens|layers." },
            { "qwen2", "q_proj.weight|k_proj.bias|v_proj.bias" },
            { "biased", "o_proj.bias|q_proj.bias|down_proj" },
            { "qwen3", "k_norm|input_layernorm" },
            { "mingru", "z_proj|conv|layernorm" },
            { "mingru", "embed_tokens|layers.0.mixer|layers.1.mixer.o_proj" },
        };

    [Theory]
    [MemberData(nameof(Frozen))]
    public void Backward_SomeFrozen_GivesTheOthersTheGradientTheyHaveWithoutThat(string shape, string frozen)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        var names = parameters.Names.Where(name => frozen.Split('|').Any(name.Contains)).ToHashSet();
        var trained = TrainedWeights.AllBut(parameters, names);
        using FloatBuffer all = Gradient(TrainedWeights.All(parameters)),
            some = Gradient(trained);

        Assert.Equal(parameters.Count - names.Sum(name => parameters.Values(name).Length), trained.Count);
        Assert.Equal(parameters.Names.Except(names), trained.Names);
        foreach (var name in trained.Names.Where(name => name != "lm_head.weight"))
        {
            var expected = parameters.Matrix(all, name).reshape(-1);
            var actual = some.Matrix(expected.numel(), 1, trained.OffsetOf(name)!.Value).reshape(-1);
            Assert.True(
                ((actual - expected).norm() / expected.norm()).item<float>() < 2 * Rounding.OfBackward(parameters.Configuration, 64),
                name
            );
        }
    }

    [Fact]
    public void Buffers_Adapters_HoldNothingOfTheFrozenWeights()
    {
        using var parameters = SampleSequences.Parameters();
        using var adapter = SampleAdapters.Create(parameters, useDora: false, 0, "q_proj", "v_proj");
        using var workers = new GradientWorkers(TrainedWeights.Of(adapter), 2, 100);
        using var optimizer = new WeightOptimizer(new OptimizationOptions(), TrainedWeights.Of(adapter));
        const int Rank = 3,
            D = 32,
            Q = 32,
            KV = 16,
            Layers = 2;

        Assert.Equal(Layers * Rank * (D + Q + D + KV), workers.Gradient.Count);
        var moments = 0L;
        optimizer.Visit(bytes =>
        {
            moments += bytes.Length;
            return false;
        });
        Assert.Equal(2 * sizeof(float) * workers.Gradient.Count, moments);
    }

    /// <summary>Llama 3's 70B has 70,553,706,496 weights by Hugging Face's count.</summary>
    [Fact]
    public void Layout_MoreWeightsThanAnIntCounts_IsCountedInLong()
    {
        var (offsets, count) = TrainedWeights.Layout(ModelParameters.Shapes(Llama70B));

        Assert.Equal(70_553_706_496, count);
        Assert.Equal(70_553_706_496, ModelParameters.CountOf(Llama70B));
        Assert.Equal(70_553_706_496 - (128_256L * 8_192), offsets["lm_head.weight"]);
        Assert.Equal(offsets["lm_head.weight"] - 8_192, offsets["model.norm.weight"]);
        Assert.Equal(offsets.Values.Order(), offsets.Values);
    }

    [Fact]
    public void Create_TensorOfMoreElementsThanASpanCounts_IsRefusedBeforeAnythingIsAllocated()
    {
        var error = Assert.Throws<Text.Errors.InvalidInputException>(() => new ModelParameters(Llama70B with { VocabSize = 262_144 }));

        Assert.Equal(
            "model.embed_tokens.weight: has 2,147,483,648 elements (262144 × 8192); one tensor may have 2,147,483,647 at most",
            error.Message
        );
    }

    static ModelConfiguration Llama70B { get; } =
        new()
        {
            VocabSize = 128_256,
            HiddenSize = 8_192,
            IntermediateSize = 28_672,
            NumHiddenLayers = 80,
            NumAttentionHeads = 64,
            NumKeyValueHeads = 8,
            HeadDim = 128,
        };

    static FloatBuffer Gradient(TrainedWeights weights)
    {
        using var scope = NewDisposeScope();
        var batch = DecoderShapes.Batch(33, 5, 64);
        return new DecoderRun(weights, batch, randn([batch.Ids.Length, 48], generator: new Generator(9))).Gradient;
    }
}
