using System.Text.Json;
using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Models.Checkpoints;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Models;

[Trait("Category", "Numeric")]
public class DecoderTests
{
    static readonly ModelConfiguration Grouped = new()
    {
        VocabSize = 50, HiddenSize = 48, IntermediateSize = 44, NumHiddenLayers = 2, NumAttentionHeads = 6, NumKeyValueHeads = 2, HeadDim = 8,
        MaxPositionEmbeddings = 128, TieWordEmbeddings = true, InitializerRange = 0.3,
    };

    static readonly ModelConfiguration WideHeads = Grouped with
    {
        NumAttentionHeads = 2, NumKeyValueHeads = 2, HeadDim = 32, IntermediateSize = 64, TieWordEmbeddings = false,
    };

    public static TheoryData<string> Shapes =>
    [
        "grouped", "wide", "biased", "qwen2", "qwen3", "qwen3 window", "mistral", "phi3", "phi3 partial", "gemma2", "gemma3", "olmo2", "smollm3", "qwen3_moe", "mixtral",
    ];

    internal static ModelConfiguration Shape(string name) => name switch
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
            Family = ModelFamily.Gemma2, SlidingWindow = 7, SlidingLayers = [true, false], QueryPreAttnScalar = 20, AttentionSoftCap = 50, LogitSoftCap = 30,
        },
        "gemma3" => WideHeads with
        {
            Family = ModelFamily.Gemma3, NumHiddenLayers = 6, SlidingWindow = 33, SlidingLayers = [true, true, true, true, true, false], RopeTheta = 1_000_000,
            LocalRopeTheta = 10_000, QueryPreAttnScalar = 32, NumKeyValueHeads = 1,
        },
        "olmo2" => Grouped with { Family = ModelFamily.Olmo2 },
        "smollm3" => Grouped with { Family = ModelFamily.SmolLM3, NumHiddenLayers = 4, NoRopeLayers = [3] },
        "qwen3_moe" => WideHeads with
        {
            Family = ModelFamily.Qwen3Moe, NumHiddenLayers = 3,
            Experts = new() { NumExperts = 6, NumExpertsPerToken = 3, IntermediateSize = 20, NormalizesTopK = false, RouterLossWeight = 0.3, DenseLayers = [1] },
        },
        _ => Grouped with
        {
            Family = ModelFamily.Mixtral,
            Experts = new() { NumExperts = 5, NumExpertsPerToken = 2, IntermediateSize = 44, NormalizesTopK = true, RouterLossWeight = 0.5 },
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

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_SeveralSequences_EqualsTheReferenceOnEachAlone(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters(shape, seed: 5);
        var reference = new ReferenceLlama(parameters);
        var batch = Batch(7, 1, 40, 70);

        var hidden = tensor(DecoderRun.Forward(TrainedWeights.All(parameters), batch)).reshape(-1, Grouped.HiddenSize).to(ScalarType.Float64);

        var expected = cat([.. Sequences(batch).Select(reference.Forward)], 0);
        Rounding.Close(expected, hidden, Rounding.OfForward(parameters.Configuration, 70));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_SeveralSequences_EqualsLibtorchAutogradInFloat64(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters(shape, seed: 6);
        var reference = new ReferenceLlama(parameters);
        var batch = Batch(33, 5, 64);
        var outputGradient = randn([batch.Ids.Length, Grouped.HiddenSize], generator: new Generator(9));

        using var run = new DecoderRun(TrainedWeights.All(parameters), batch, outputGradient);

        (cat([.. Sequences(batch).Select(reference.Forward)], 0) * outputGradient.to(ScalarType.Float64)).sum().backward();
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var actual = parameters.Matrix(run.Gradient, name).to(ScalarType.Float64).reshape(-1);
            var expected = reference.Gradient(name).reshape(-1);
            var error = (actual - expected).norm().item<double>() / expected.norm().item<double>();
            Assert.True(error < Rounding.OfBackward(parameters.Configuration, 64), $"{name}: relative error {error}");
        }
    }

    /// <summary>What a GPU computes in 16 bits: norms, softmax, rotations and gradients of weights in float32, all else rounded to eight bits.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardBackward_InBFloat16_IsNearTheReference(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters(shape, seed: 6);
        var weights = TrainedWeights.All(parameters);
        var batch = Batch(33, 5, 64);
        var outputGradient = randn([batch.Ids.Length, Grouped.HiddenSize], generator: new Generator(9));
        var reference = new ReferenceLlama(parameters);

        var (actual, gradient) = TestDevice.With(weights, () =>
        {
            using var rounded = new RoundedMatrices(parameters);
            using var buffer = new FloatBuffer(parameters.Count, TestDevice.Current);
            using var decoder = new Decoder(weights, buffer, rounded, activations: ScalarType.BFloat16);
            var hidden = decoder.Forward(batch);
            Assert.Equal(ScalarType.BFloat16, hidden.dtype);
            hidden.backward([outputGradient.to(hidden.dtype).to(hidden.device)]);
            CustomGradient.Finish();
            return (hidden.cpu().to(ScalarType.Float64), buffer.CopyTo(CPU));
        });

        using (gradient)
        {
            var expected = cat([.. Sequences(batch).Select(reference.Forward)], 0);
            (expected * outputGradient.to(ScalarType.Float64)).sum().backward();
            var worst = parameters.Names.Where(name => name != "lm_head.weight").Max(name =>
            {
                var slopes = reference.Gradient(name).reshape(-1);
                return ((parameters.Matrix(gradient, name).to(ScalarType.Float64).reshape(-1) - slopes).norm() / slopes.norm()).item<double>();
            });
            var error = ((actual - expected).norm() / expected.norm()).item<double>();
            // Sixteen roundings of a layer, each by 2⁻⁹; the gradient has gone through as many again, and through the slopes of sharp softmaxes.
            var rounding = 16 * parameters.Configuration.NumHiddenLayers * Math.Pow(2, -9);
            Assert.InRange(error, 0, rounding);
            Assert.InRange(worst, 0, 4 * rounding);
        }
    }

    /// <summary>What every device computes where it has no kernel of ours: the same, and exact in float64.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardBackward_LibtorchsOperationsInFloat64_EqualTheReference(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters(shape, seed: 6);
        using var gradient = new FloatBuffer(parameters.Count);
        using var decoder = new Decoder(TrainedWeights.All(parameters), gradient, activations: ScalarType.Float64);
        var reference = new ReferenceLlama(parameters);
        var batch = Batch(33, 5, 64);
        var outputGradient = randn([batch.Ids.Length, Grouped.HiddenSize], generator: new Generator(9)).to(ScalarType.Float64);

        var hidden = decoder.Forward(batch);
        hidden.backward([outputGradient]);
        CustomGradient.Finish();

        var expected = cat([.. Sequences(batch).Select(reference.Forward)], 0);
        Rounding.Close(expected, hidden, 1e-11); // a hundred times a sum of a few thousand terms
        (expected * outputGradient).sum().backward();
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var error = (parameters.Matrix(gradient, name).to(ScalarType.Float64).reshape(-1) - reference.Gradient(name).reshape(-1)).norm().item<double>();
            Assert.True(error < Rounding.Of(8) * reference.Gradient(name).norm().item<double>(), $"{name}: error {error}"); // stored in float32
        }
    }

    /// <summary>YaRN stretches the frequencies and sharpens the scores; positions reach past the first table of sines.</summary>
    [Fact]
    public void ForwardBackward_ScaledRotations_EqualsLibtorchAutogradInFloat64()
    {
        using var scope = NewDisposeScope();
        using var parameters = new ModelParameters(Grouped with
        {
            MaxPositionEmbeddings = 2_048, RopeScaling = new RopeScaling { Type = RopeType.Yarn, Factor = 16, OriginalMaxPositionEmbeddings = 64 },
        });
        parameters.Initialize(seed: 8);
        var frequencies = RotaryFrequencies.Of(parameters.Configuration);
        var reference = new ReferenceLlama(parameters) { Frequencies = tensor(frequencies.Angles), Magnitude = frequencies.Magnitude };
        var batch = Batch(20, 700);
        var outputGradient = randn([batch.Ids.Length, Grouped.HiddenSize], generator: new Generator(9));

        using var run = new DecoderRun(TrainedWeights.All(parameters), batch, outputGradient);
        var hidden = tensor(run.Hidden).reshape(-1, Grouped.HiddenSize).to(ScalarType.Float64);

        var expected = cat([.. Sequences(batch).Select(reference.Forward)], 0);
        Rounding.Close(expected, hidden, Rounding.OfForward(parameters.Configuration, 700));
        (expected * outputGradient.to(ScalarType.Float64)).sum().backward();
        const string queries = "model.layers.0.self_attn.q_proj.weight";
        var error = parameters.Matrix(run.Gradient, queries).to(ScalarType.Float64) - reference.Gradient(queries);
        Assert.InRange(error.norm().item<double>() / reference.Gradient(queries).norm().item<double>(), 0, Rounding.OfBackward(parameters.Configuration, 700));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardBackward_SomeOutputsWanted_EqualsAllWithNoGradientAtTheOthers(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters(shape, seed: 7);
        var batch = Batch(33, 5, 64);
        int[] outputs = [7, 8, 20, .. Enumerable.Range(33 + 5 + 40, 23)]; // none of the second sequence, not the last token of the third
        var d = Grouped.HiddenSize;
        var someSlopes = randn([outputs.Length, d], generator: new Generator(9));
        var allSlopes = zeros(batch.Ids.Length, d).index_copy(0, tensor(outputs, dtype: ScalarType.Int64), someSlopes);

        using DecoderRun all = new(TrainedWeights.All(parameters), batch, allSlopes), some = new(TrainedWeights.All(parameters), batch with { Outputs = outputs }, someSlopes);

        Rounding.Close(
            [.. outputs.SelectMany(row => all.Hidden.AsSpan(row * d, d).ToArray())], some.Hidden, 2 * Rounding.OfForward(parameters.Configuration, 64));
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var expected = parameters.Matrix(all.Gradient, name);
            var error = (parameters.Matrix(some.Gradient, name) - expected).norm().item<float>() / expected.norm().item<float>();
            Assert.True(error < 2 * Rounding.OfBackward(parameters.Configuration, 64), $"{name}: relative error {error}");
        }
    }

    [Fact]
    public void Forward_PretrainedLlama_GivesTheLogitsOfAnotherImplementation()
    {
        var directory = TestPaths.SharedData("stories260K");
        using var scope = NewDisposeScope();
        using var parameters = ModelDirectory.Load(directory);
        var output = parameters.Configuration.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
        using var reference = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(directory, "reference.json")));
        var positions = 0;
        foreach (var sequence in reference.RootElement.GetProperty("sequences").EnumerateArray())
        {
            int[] ids = [.. sequence.GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32())];
            var hidden = tensor(DecoderRun.Forward(TrainedWeights.All(parameters), new TokenBatch(ids, [ids.Length])));
            var logits = hidden.reshape(ids.Length, -1).matmul(parameters.Matrix(parameters.Flat, output).t());
            var expected = sequence.GetProperty("logits").EnumerateArray().SelectMany(row => row.EnumerateArray().Select(value => value.GetSingle())).ToArray();
            Rounding.Close(tensor(expected).to(ScalarType.Float64), logits.reshape(-1), 2 * Rounding.OfForward(parameters.Configuration, ids.Length)); // either is float32
            positions += ids.Length;
        }

        Assert.Equal(210, positions);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardBackward_GradientCheckpointing_GivesTheSameBits(string shape)
    {
        using var parameters = Parameters(shape, seed: 5);
        var batch = Batch(33, 5, 64) with { Outputs = [3, 9, 10, .. Enumerable.Range(25, 20)] };

        Assert.Equal(Passes(TrainedWeights.All(parameters), batch, null, false), Passes(TrainedWeights.All(parameters), batch, null, true));
    }

    /// <summary>Hidden states and gradient of two updates.</summary>
    internal static float[] Passes(TrainedWeights weights, TokenBatch batch, PassNoise? noise, bool gradientCheckpointing)
    {
        using var scope = NewDisposeScope();
        using var gradient = new FloatBuffer(weights.Count);
        using var decoder = new Decoder(weights, gradient, gradientCheckpointing: gradientCheckpointing);
        var result = new List<float>();
        for (var pass = 0; pass < 2; pass++)
        {
            var hidden = decoder.Forward(batch, noise);
            result.AddRange(hidden.data<float>().ToArray());
            hidden.backward([rand(hidden.shape, generator: new Generator((ulong)pass)) - 0.5f]);
            CustomGradient.Finish();
            result.AddRange(gradient.Span);
        }

        return [.. result];
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
