using TorchSharp;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Adapters;

[Trait("Category", "Numeric")]
public class LoraModelTests
{
    const int D = 48;
    static readonly string[] SomeTargets = ["q_proj", "v_proj", "layers.1.self_attn.o_proj", "up_proj", "layers.0.mlp.down_proj"];

    public static TheoryData<string, bool> Shapes =>
        new(from shape in DecoderShapes.All from useDora in new[] { false, true } select (shape.Data, useDora));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardBackward_AllLayers_EqualsLibtorchAutogradInFloat64(string shape, bool useDora) => Compare(shape, useDora);

    [Theory]
    [InlineData("grouped", false)]
    [InlineData("qwen2", true)]
    public void ForwardBackward_SomeLayers_EqualsLibtorchAutogradInFloat64(string shape, bool useDora) =>
        Compare(shape, useDora, SomeTargets);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ForwardBackward_Dropout_EqualsLibtorchAutogradOfTheSameMasks(bool useDora)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters("grouped", seed: 6);
        using var adapter = SampleAdapters.Create(parameters, useDora, dropout: 0.3);
        int[] outputs = [3, 9, 10, .. Enumerable.Range(25, 20)];
        var batch = DecoderShapes.Batch(45) with { Outputs = outputs };
        var noise = PassNoise.Create(new UpdateNoise(1, 2, 0), [0], batch.Lengths);
        var reference = new ReferenceLlama(adapter)
        {
            Drop = (layer, input) =>
            {
                using var mask = new FloatBuffer(input.numel());
                mask.Span.Fill(1);
                Drop(mask, (int)input.shape[0], (int)input.shape[1], noise, 1 + adapter.Find(layer)!.Index);
                return input * tensor(mask.Span.ToArray(), input.shape).to(ScalarType.Float64);
            },
        };

        Compare(adapter, batch, noise, reference);
    }

    /// <summary>Rows of pruned heads have no direction to be divided by.</summary>
    [Fact]
    public void Forward_DoraBesideARowOfZeros_IsTheModelWithoutIt()
    {
        using var parameters = DecoderShapes.Parameters("qwen2", seed: 6);
        parameters
            .Values("model.layers.0.self_attn.q_proj.weight")[..(int)parameters.ShapeOf("model.layers.0.self_attn.q_proj.weight")[1]]
            .Clear();
        var expected = Hidden(TrainedWeights.All(parameters));
        using var adapter = new LoraAdapter(parameters, new LoraSettings(8, 16, 0, [LoraAdapter.AllLinear], UseDora: true), seed: 1);
        adapter.Refresh();

        Rounding.Close(expected, Hidden(TrainedWeights.Of(adapter)), TwoPasses(parameters));
        SampleAdapters.Merge(adapter, parameters);
        Rounding.Close(expected, Hidden(TrainedWeights.All(parameters)), TwoPasses(parameters));
    }

    /// <summary>What layers share, one of them must not leave to another.</summary>
    [Theory]
    [InlineData("qwen2", false)]
    [InlineData("qwen2", true)]
    [InlineData("qwen3", true)]
    [InlineData("mingru", true)]
    public void ForwardBackward_AllOfFourLayersCheckpointed_EqualsLibtorchAutogradInFloat64(string shape, bool useDora)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6, layers: 4);
        using var adapter = SampleAdapters.Create(parameters, useDora);
        Compare(adapter, DecoderShapes.Batch(33, 5, 64), noise: null, new ReferenceLlama(adapter), gradientCheckpointing: true);
    }

    public static TheoryData<bool, double, string[]> Checkpointed =>
        new(
            from useDora in new[] { false, true }
            from dropout in new[] { 0, 0.3 }
            from targets in new string[][] { [], SomeTargets, ["down_proj"] }
            select (useDora, dropout, targets)
        );

    [Theory]
    [MemberData(nameof(Checkpointed))]
    public void ForwardBackward_GradientCheckpointing_GivesTheSameBits(bool useDora, double dropout, string[] targets)
    {
        using var parameters = DecoderShapes.Parameters("qwen2", seed: 6, layers: 4);
        using var adapter = SampleAdapters.Create(parameters, useDora, dropout, targets);
        var batch = DecoderShapes.Batch(33, 5, 64) with { Outputs = [3, 9, 10, .. Enumerable.Range(25, 20)] };
        var noise = PassNoise.Create(new UpdateNoise(1, 2, 5), [0, 1, 2], batch.Lengths);

        Assert.Equal(
            DecoderTests.Passes(TrainedWeights.Of(adapter), batch, noise, false),
            DecoderTests.Passes(TrainedWeights.Of(adapter), batch, noise, true)
        );
    }

    [Fact]
    public void Forward_FreshLoraAdapter_EqualsTheModelWithoutIt()
    {
        using var parameters = DecoderShapes.Parameters("qwen2", seed: 6);
        using var adapter = new LoraAdapter(parameters, new LoraSettings(8, 16, 0, [LoraAdapter.AllLinear], UseDora: false), seed: 1);

        Assert.Equal(Hidden(TrainedWeights.All(parameters)), Hidden(TrainedWeights.Of(adapter)));
    }

    [Fact]
    public void Forward_FreshDoraAdapter_EqualsTheModelWithoutItWithinRounding()
    {
        using var parameters = DecoderShapes.Parameters("qwen2", seed: 6);
        using var adapter = new LoraAdapter(parameters, new LoraSettings(8, 16, 0, [LoraAdapter.AllLinear], UseDora: true), seed: 1);

        Rounding.Close(Hidden(TrainedWeights.All(parameters)), Hidden(TrainedWeights.Of(adapter)), TwoPasses(parameters));
    }

    /// <summary>Weights that 16 bits hold exactly make the same model in 16 bits and in 32.</summary>
    [Theory]
    [InlineData("qwen2", TensorDtype.BFloat16, false)]
    [InlineData("qwen3", TensorDtype.Float16, true)]
    public void ForwardBackward_BaseIn16Bits_IsThatOfTheSameWeightsInFloat32(string shape, TensorDtype dtype, bool useDora)
    {
        using var folder = new TemporaryDirectory();
        using (var written = DecoderShapes.Parameters(shape, seed: 6))
        {
            ModelDirectory.Save(folder.Path, written, dtype);
        }

        using var narrow = ModelDirectory.LoadFrozen(folder.Path);
        using var wide = ModelDirectory.Load(folder.Path);
        Assert.Equal((dtype, wide.Count), (narrow.Dtype, narrow.Count));
        Assert.IsType<FrozenParameters>(narrow);
        Assert.Equal(Passes(wide), Passes(narrow));

        float[] Passes(IDecoderWeights model)
        {
            using var scope = NewDisposeScope();
            using var adapter = SampleAdapters.Create(model, useDora);
            using var run = new DecoderRun(TrainedWeights.Of(adapter), DecoderShapes.Batch(20, 30), full([50, D], 0.1f));
            return [.. run.Hidden, .. run.Gradient.Span];
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Merge_AnyAdapter_GivesTheLogitsOfTheModelWithIt(bool useDora)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters("qwen3", seed: 6);
        using var adapter = SampleAdapters.Create(parameters, useDora, targets: SomeTargets);
        var beside = Hidden(TrainedWeights.Of(adapter));
        var (layer, s) = ("model.layers.0.mlp.down_proj", 7.0 / 3);
        var sum =
            Matrix(parameters, layer + ".weight")
            + s * Matrix(adapter, layer + ".lora_B.weight").matmul(Matrix(adapter, layer + ".lora_A.weight"));
        var expected = useDora
            ? sum
                / sum.Squared().sum([1], keepdim: true).sqrt()
                * tensor(adapter.Values(layer + ".lora_magnitude_vector").ToArray()).to(ScalarType.Float64).unsqueeze(1)
            : sum;
        var untouched = parameters.Values("model.layers.0.self_attn.o_proj.weight").ToArray();

        SampleAdapters.Merge(adapter, parameters);

        Rounding.Close(beside, Hidden(TrainedWeights.All(parameters)), TwoPasses(parameters));
        Rounding.Close(expected, Matrix(parameters, layer + ".weight"), Rounding.Of(4)); // s, the norm, their product and what is stored
        Assert.Equal(untouched, parameters.Values("model.layers.0.self_attn.o_proj.weight").ToArray());
    }

    /// <summary>Kaiming's rule with a = √5 is uniform in ±1/√K; B zero, m the lengths of the rows, as in PEFT.</summary>
    [Fact]
    public void Create_FirstValues_AreThoseOfPeft()
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters("grouped", seed: 6);
        using var adapter = new LoraAdapter(parameters, new LoraSettings(16, 16, 0, ["down_proj"], UseDora: true), seed: 1);
        const string Layer = "model.layers.1.mlp.down_proj";
        var a = adapter.Values(Layer + ".lora_A.weight").ToArray();
        var bound = 1 / Math.Sqrt(44);

        Assert.All(a, value => Assert.InRange(value, -bound, bound));
        Assert.InRange(a.Average(value => value * value), 0.9 * bound * bound / 3, 1.1 * bound * bound / 3);
        Assert.NotEqual(a, adapter.Values("model.layers.0.mlp.down_proj.lora_A.weight").ToArray());
        Assert.All(adapter.Values(Layer + ".lora_B.weight").ToArray(), value => Assert.Equal(0, value));
        var norms = Matrix(parameters, Layer + ".weight").Squared().sum([1]).sqrt().data<double>().ToArray();
        Assert.All(adapter.Values(Layer + ".lora_magnitude_vector").ToArray().Zip(norms), pair =>
            Assert.Equal(pair.Second, pair.First, Rounding.Of(2) * pair.Second)
        );
        Assert.Equal(6, adapter.Names.Count());
    }

    [Fact]
    public void Create_TargetThatIsNotThere_NamesTheNearest()
    {
        using var parameters = DecoderShapes.Parameters("grouped", seed: 6);
        var near = Assert.Throws<Text.Errors.InvalidInputException>(() =>
            new LoraAdapter(parameters, new LoraSettings(4, 8, 0, ["q_proj", "v_porj"], false), 1)
        );
        var far = Assert.Throws<Text.Errors.InvalidInputException>(() =>
            new LoraAdapter(parameters, new LoraSettings(4, 8, 0, ["lm_head"], false), 1)
        );

        Assert.Equal("lora_target_modules: no layer's name ends in \"v_porj\"; did you mean \"v_proj\"?", near.Message);
        Assert.StartsWith("lora_target_modules: no layer's name ends in \"lm_head\"; known: all-linear, down_proj", far.Message);
    }

    /// <summary>Dropout of the inputs of the recurrence and NEFTune's noise.</summary>
    [Theory]
    [InlineData("z_proj", "o_proj")]
    [InlineData("h_proj", "up_proj")]
    public void ForwardBackward_NoiseInARecurrentModel_GivesTheSameBitsWithGradientCheckpointing(params string[] targets)
    {
        using var parameters = DecoderShapes.Parameters("mingru", seed: 6, layers: 4);
        using var adapter = SampleAdapters.Create(parameters, useDora: true, 0.3, targets);
        var batch = DecoderShapes.Batch(33, 5, 64) with { Outputs = [3, 9, 10, .. Enumerable.Range(25, 20)] };
        var noise = PassNoise.Create(new UpdateNoise(1, 2, 5), [0, 1, 2], batch.Lengths);

        var kept = DecoderTests.Passes(TrainedWeights.Of(adapter), batch, noise, gradientCheckpointing: false);

        Assert.Equal(kept, DecoderTests.Passes(TrainedWeights.Of(adapter), batch, noise, gradientCheckpointing: true));
        Assert.NotEqual(kept, DecoderTests.Passes(TrainedWeights.Of(adapter), batch, null, gradientCheckpointing: false));
    }

    static void Compare(string shape, bool useDora, params string[] targets)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        using var adapter = SampleAdapters.Create(parameters, useDora, targets: targets);
        Compare(adapter, DecoderShapes.Batch(33, 5, 64), noise: null, new ReferenceLlama(adapter));
    }

    static void Compare(
        LoraAdapter adapter,
        TokenBatch batch,
        PassNoise? noise,
        ReferenceLlama reference,
        bool gradientCheckpointing = false
    )
    {
        var outputGradient = randn([batch.Outputs.Length, D], generator: new Generator(9));

        using var run = new DecoderRun(TrainedWeights.Of(adapter), batch, outputGradient, noise, gradientCheckpointing);
        var hidden = tensor(run.Hidden).reshape(-1, D).to(ScalarType.Float64);

        var expected = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0)
            .index_select(0, tensor(batch.Outputs.Select(row => (long)row).ToArray()));
        var (shape, longest) = (adapter.Model.Configuration, batch.Lengths.Max());
        Rounding.Close(expected, hidden, Rounding.OfForward(shape, longest));
        (expected * outputGradient.to(ScalarType.Float64)).sum().backward();
        foreach (var name in adapter.Names)
        {
            var slope = reference.Gradient(name).reshape(-1);
            var error =
                (adapter.Matrix(run.Gradient, name).to(ScalarType.Float64).reshape(-1) - slope).norm().item<double>()
                / slope.norm().item<double>();
            Assert.True(error < Rounding.OfBackward(shape, longest), $"{name}: relative error {error}");
        }
    }

    static unsafe void Drop(FloatBuffer values, int rows, int columns, PassNoise noise, int purpose) =>
        NoiseKernel.Drop(values.Memory.Pointer, rows, columns, 0.3, noise, purpose);

    static Tensor Matrix(NamedWeights weights, string name) => weights.Matrix(weights.Flat, name).to(ScalarType.Float64);

    /// <summary>Two ways to the same hidden states, either of which rounds.</summary>
    static double TwoPasses(ModelParameters parameters) => 2 * Rounding.OfForward(parameters.Configuration, 30);

    static float[] Hidden(TrainedWeights weights) => DecoderRun.Forward(weights, DecoderShapes.Batch(20, 30));
}
