using System.Text.Json;
using System.Text.RegularExpressions;
using TorchSharp;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

[Trait("Category", "Numeric")]
public partial class DecoderTests
{
    /// <summary>
    /// Along random directions, one kind of weight at a time (such as the queries of all layers), the outputs change as the gradient
    /// says. The error of a central difference falls with the square of the step, so that a step and half of it say how large it is.
    /// </summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Backward_EveryKindOfWeight_HasTheSlopesOfCentralDifferencesInFloat64(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        foreach (ref var value in parameters.Flat.Span)
        {
            // Steps of 2⁻¹⁹ and 2⁻²⁰ then change a weight by just as much in float32, in which it is held. They are so small
            // because g of minGRU has another slope below 0 than above, and no candidate should come from one side to the other.
            value = MathF.Round(value * (1 << 20)) / (1 << 20);
        }

        using var gradient = new FloatBuffer(parameters.Count);
        using var decoder = new Decoder(TrainedWeights.All(parameters), gradient, activations: ScalarType.Float64);
        var batch = DecoderShapes.Batch(36, 5);
        var slopes = randn([batch.Ids.Length, DecoderShapes.Grouped.HiddenSize], generator: new Generator(9)).to(ScalarType.Float64);
        using (NewDisposeScope())
        {
            decoder.Forward(batch, balance: Balance()).backward([slopes]);
            CustomGradient.Finish();
        }

        var random = new Random(8);
        foreach (var kind in parameters.Names.Where(name => name != "lm_head.weight").GroupBy(name => Number().Replace(name, ".*.")))
        {
            var norm = Math.Sqrt(kind.Sum(name => parameters.Matrix(gradient, name).Squared().sum().item<float>()));
            var count = kind.Sum(name => parameters.Values(name).Length);
            for (var repeat = 0; repeat < 2; repeat++)
            {
                var directions = kind.ToDictionary(
                    name => name,
                    name => parameters.Values(name).ToArray().Select(_ => (float)(random.Next(2) * 2 - 1)).ToArray()
                );
                var expected = directions.Sum(direction =>
                    direction.Value.Select((sign, i) => (double)sign * gradient.Span[(int)parameters.OffsetOf(direction.Key) + i]).Sum()
                );
                const double Step = 1.0 / (1 << 20);
                var (whole, half) = (Difference(directions, 2 * Step), Difference(directions, Step));
                // The gradient is held in float32; outputs are a hundred numbers of float64, of some thousand operations each.
                var rounding = Rounding.Of(8) * norm * Math.Sqrt(count) + 1e-12 / Step;
                var tolerance = Math.Abs(whole - half) + rounding;
                // Were a token's experts not the same at all steps, they would not agree.
                Assert.True(tolerance < 2e-3 * norm, $"{kind.Key}: {whole} and {half} are too far from each other for a slope of {norm}");
                Assert.True(Math.Abs(half - expected) < tolerance, $"{kind.Key}: {half} by differences, {expected} by the gradient");
            }
        }

        RouterBalance? Balance() => RouterBalance.Of(parameters.Configuration, batch);

        double Difference(Dictionary<string, float[]> directions, double step)
        {
            Move(directions, (float)step);
            var up = Output();
            Move(directions, (float)(-2 * step));
            var down = Output();
            Move(directions, (float)step);
            return (up - down) / (2 * step);
        }

        double Output()
        {
            using var pass = NewDisposeScope();
            using var noGrad = no_grad();
            var balance = Balance();
            return (decoder.Forward(batch, balance: balance) * slopes).sum().item<double>() + (balance?.Loss ?? 0);
        }

        void Move(Dictionary<string, float[]> directions, float step)
        {
            foreach (var (name, direction) in directions)
            {
                var values = parameters.Values(name);
                for (var i = 0; i < values.Length; i++)
                {
                    values[i] += step * direction[i];
                }
            }
        }
    }

    /// <summary>Queries, keys and values apart, whatever is one matrix in a pass.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void NamedParameters_SavedModel_AreTheTensorsOfItsFile(string shape)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryDirectory();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        ModelDirectory.Save(folder.Path, parameters);
        using var decoder = new Decoder(TrainedWeights.None(parameters));

        using var file = SafetensorsFile.Open(Path.Combine(folder.Path, "model.safetensors"));
        var named = decoder.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        Assert.Equal(file.Entries.Keys.Order(StringComparer.Ordinal), named.Keys.Order(StringComparer.Ordinal));
        using var another = new Decoder(TrainedWeights.None(parameters));
        Assert.Equal(named.Keys, another.state_dict().Keys);
        foreach (var (name, entry) in file.Entries)
        {
            var stored = new float[entry.Shape.Aggregate(1L, (a, b) => a * b)];
            file.Read(entry, stored);
            Assert.Equal(entry.Shape, named[name].shape);
            Assert.Equal(stored, named[name].data<float>().ToArray());
            Assert.False(named[name].requires_grad);
        }
    }

    [Theory]
    [InlineData("qwen2", false)]
    [InlineData("phi3", false)]
    [InlineData("grouped", true)]
    public void Parameters_StepOfLibtorchsOptimizer_ChangesWhatTheDecoderComputesWith(string shape, bool hasAdapter)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        using var adapter = hasAdapter ? SampleAdapters.Create(parameters, useDora: false) : null;
        var weights = adapter is null ? TrainedWeights.All(parameters) : TrainedWeights.Of(adapter);
        using var gradient = new FloatBuffer(weights.Count);
        using var decoder = new Decoder(weights, gradient);
        var before = weights.Weights.Flat.Span.ToArray();
        decoder.Forward(DecoderShapes.Batch(20, 5)).sum().backward();
        CustomGradient.Finish();

        var trained = decoder.named_parameters().Where(parameter => parameter.parameter.requires_grad).ToList();
        optim.SGD(trained.Select(parameter => parameter.parameter), 0.5).step();

        Assert.Equal(weights.Names, trained.Select(parameter => parameter.name));
        float[] expected = [.. before.Zip(gradient.Span.ToArray(), (weight, slope) => weight - 0.5f * slope)];
        Rounding.Close(expected, weights.Weights.Flat.Span.ToArray(), Rounding.Of(2));
        Assert.NotEqual(before, weights.Weights.Flat.Span.ToArray());
    }

    /// <summary>Of a layer or an expert.</summary>
    [GeneratedRegex(@"\.\d+\.")]
    private static partial Regex Number();

    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Forward_SeveralSequences_EqualsTheReferenceOnEachAlone(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 5);
        var reference = new ReferenceLlama(parameters);
        var batch = DecoderShapes.Batch(7, 1, 40, 70);

        var hidden = tensor(DecoderRun.Forward(TrainedWeights.All(parameters), batch))
            .reshape(-1, DecoderShapes.Grouped.HiddenSize)
            .to(ScalarType.Float64);

        var expected = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0);
        Rounding.Close(expected, hidden, Rounding.OfForward(parameters.Configuration, 70));
    }

    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Backward_SeveralSequences_EqualsLibtorchAutogradInFloat64(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        var reference = new ReferenceLlama(parameters);
        var batch = DecoderShapes.Batch(33, 5, 64);
        var outputGradient = randn([batch.Ids.Length, DecoderShapes.Grouped.HiddenSize], generator: new Generator(9));

        using var run = new DecoderRun(TrainedWeights.All(parameters), batch, outputGradient);

        (cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0) * outputGradient.to(ScalarType.Float64)).sum().backward();
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var actual = parameters.Matrix(run.Gradient, name).to(ScalarType.Float64).reshape(-1);
            var expected = reference.Gradient(name).reshape(-1);
            var error = (actual - expected).norm().item<double>() / expected.norm().item<double>();
            Assert.True(error < Rounding.OfBackward(parameters.Configuration, 64), $"{name}: relative error {error}");
        }
    }

    /// <summary>
    /// What a GPU computes in 16 bits: norms, softmax, rotations and gradients of weights in float32, all else rounded to eight bits.
    /// </summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void ForwardBackward_InBFloat16_IsNearTheReference(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        var weights = TrainedWeights.All(parameters);
        var batch = DecoderShapes.Batch(33, 5, 64);
        var outputGradient = randn([batch.Ids.Length, DecoderShapes.Grouped.HiddenSize], generator: new Generator(9));
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
            var expected = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0);
            (expected * outputGradient.to(ScalarType.Float64)).sum().backward();
            var worst = parameters
                .Names.Where(name => name != "lm_head.weight")
                .Max(name =>
                {
                    var slopes = reference.Gradient(name).reshape(-1);
                    return (
                        (parameters.Matrix(gradient, name).to(ScalarType.Float64).reshape(-1) - slopes).norm() / slopes.norm()
                    ).item<double>();
                });
            var error = ((actual - expected).norm() / expected.norm()).item<double>();
            // Sixteen roundings of a layer, each by 2⁻⁹; the gradient has gone through as many
            // again, and through the slopes of sharp softmaxes.
            var rounding = 16 * parameters.Configuration.NumHiddenLayers * Math.Pow(2, -9);
            Assert.InRange(error, 0, rounding);
            Assert.InRange(worst, 0, 4 * rounding);
        }
    }

    /// <summary>What every device computes where it has no kernel of ours: the same, and exact in float64.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void ForwardBackward_LibtorchsOperationsInFloat64_EqualTheReference(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        var weights = TrainedWeights.All(parameters);
        var reference = new ReferenceLlama(parameters);
        var batch = DecoderShapes.Batch(33, 5, 64);
        var outputGradient = randn([batch.Ids.Length, DecoderShapes.Grouped.HiddenSize], generator: new Generator(9))
            .to(ScalarType.Float64);

        var (hidden, gradient) = TestDevice.With(weights, () =>
        {
            using var buffer = new FloatBuffer(parameters.Count, TestDevice.Current);
            using var decoder = new Decoder(weights, buffer, activations: ScalarType.Float64);
            var hidden = decoder.Forward(batch);
            hidden.backward([outputGradient.to(TestDevice.Current)]);
            CustomGradient.Finish();
            return (hidden.cpu(), buffer.CopyTo(CPU));
        });

        using var held = gradient;
        var expected = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0);
        Rounding.Close(expected, hidden, 1e-11); // a hundred times a sum of a few thousand terms
        (expected * outputGradient).sum().backward();
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var error = (parameters.Matrix(gradient, name).to(ScalarType.Float64).reshape(-1) - reference.Gradient(name).reshape(-1))
                .norm()
                .item<double>();
            // stored in float32
            Assert.True(error < Rounding.Of(8) * reference.Gradient(name).norm().item<double>(), $"{name}: " + $"error {error}");
        }
    }

    /// <summary>YaRN stretches the frequencies and sharpens the scores; positions reach past the first table of sines.</summary>
    [Fact]
    public void ForwardBackward_ScaledRotations_EqualsLibtorchAutogradInFloat64()
    {
        using var scope = NewDisposeScope();
        using var parameters = new ModelParameters(
            DecoderShapes.Grouped with
            {
                MaxPositionEmbeddings = 2_048,
                RopeScaling = new RopeScaling
                {
                    Type = RopeType.Yarn,
                    Factor = 16,
                    OriginalMaxPositionEmbeddings = 64,
                },
            }
        );
        parameters.Initialize(seed: 8);
        var frequencies = RotaryFrequencies.Of(parameters.Configuration);
        var reference = new ReferenceLlama(parameters) { Frequencies = tensor(frequencies.Angles), Magnitude = frequencies.Magnitude };
        var batch = DecoderShapes.Batch(20, 700);
        var outputGradient = randn([batch.Ids.Length, DecoderShapes.Grouped.HiddenSize], generator: new Generator(9));

        using var run = new DecoderRun(TrainedWeights.All(parameters), batch, outputGradient);
        var hidden = tensor(run.Hidden).reshape(-1, DecoderShapes.Grouped.HiddenSize).to(ScalarType.Float64);

        var expected = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0);
        Rounding.Close(expected, hidden, Rounding.OfForward(parameters.Configuration, 700));
        (expected * outputGradient.to(ScalarType.Float64)).sum().backward();
        const string queries = "model.layers.0.self_attn.q_proj.weight";
        var error = parameters.Matrix(run.Gradient, queries).to(ScalarType.Float64) - reference.Gradient(queries);
        Assert.InRange(
            error.norm().item<double>() / reference.Gradient(queries).norm().item<double>(),
            0,
            Rounding.OfBackward(parameters.Configuration, 700)
        );
    }

    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void ForwardBackward_SomeOutputsWanted_EqualsAllWithNoGradientAtTheOthers(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 7);
        var batch = DecoderShapes.Batch(33, 5, 64);
        int[] outputs = [7, 8, 20, .. Enumerable.Range(33 + 5 + 40, 23)]; // none of the second sequence, not the last token of the third
        var d = DecoderShapes.Grouped.HiddenSize;
        var someSlopes = randn([outputs.Length, d], generator: new Generator(9));
        var allSlopes = zeros(batch.Ids.Length, d).index_copy(0, tensor(outputs, dtype: ScalarType.Int64), someSlopes);

        using DecoderRun all = new(TrainedWeights.All(parameters), batch, allSlopes),
            some = new(TrainedWeights.All(parameters), batch with { Outputs = outputs }, someSlopes);

        Rounding.Close(
            [.. outputs.SelectMany(row => all.Hidden.AsSpan(row * d, d).ToArray())],
            some.Hidden,
            2 * Rounding.OfForward(parameters.Configuration, 64)
        );
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
            var expected = sequence
                .GetProperty("logits")
                .EnumerateArray()
                .SelectMany(row => row.EnumerateArray().Select(value => value.GetSingle()))
                .ToArray();
            Rounding.Close(
                tensor(expected).to(ScalarType.Float64),
                logits.reshape(-1),
                2 * Rounding.OfForward(parameters.Configuration, ids.Length)
            ); // either is float32
            Assert.InRange((logits.reshape(-1) - tensor(expected)).abs().max().item<float>(), 0, 2e-4f);
            positions += ids.Length;
        }

        Assert.Equal(210, positions);
    }

    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void ForwardBackward_GradientCheckpointing_GivesTheSameBits(string shape)
    {
        using var parameters = DecoderShapes.Parameters(shape, seed: 5);
        var batch = DecoderShapes.Batch(33, 5, 64) with { Outputs = [3, 9, 10, .. Enumerable.Range(25, 20)] };

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
}
