using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

[Trait("Category", "Numeric")]
public class RouterBalanceTests
{
    /// <summary>Loss and gradient of a pass over several sequences.</summary>
    [Theory]
    [InlineData("mixtral", false, ScalarType.Float64)]
    [InlineData("qwen3_moe", false, ScalarType.Float64)]
    [InlineData("qwen3_moe", true, ScalarType.Float32)]
    public void Backward_WithTheLoss_EqualsLibtorchAutogradInFloat64(string shape, bool gradientCheckpointing, ScalarType activations)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        var weights = TrainedWeights.All(parameters);
        var (batch, experts) = (DecoderShapes.Batch(33, 5, 64), parameters.Configuration.Experts!);
        var balance = RouterBalance.Of(parameters.Configuration, batch)!;
        var slopes = randn([batch.Ids.Length, parameters.Configuration.HiddenSize], dtype: ScalarType.Float64, generator: new Generator(9));

        using var gradient = TestDevice.With(weights, () =>
        {
            using var buffer = new FloatBuffer(parameters.Count, TestDevice.Current);
            using var decoder = new Decoder(weights, buffer, null, gradientCheckpointing, activations);
            decoder.Forward(batch, balance: balance).backward([slopes.to(activations, TestDevice.Current)]);
            CustomGradient.Finish();
            return buffer.CopyTo(CPU);
        });

        var reference = new ReferenceLlama(parameters);
        var hidden = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0);
        var loss = experts.RouterLossWeight * reference.RouterLoss();
        // stored in float32
        var tolerance = activations == ScalarType.Float64 ? Rounding.Of(8) : Rounding.OfBackward(parameters.Configuration, 64);
        Assert.Equal(loss.item<double>(), balance.Loss, tolerance * loss.item<double>());
        ((hidden * slopes).sum() + loss).backward();
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var expected = reference.Gradient(name).reshape(-1);
            var error = (parameters.Matrix(gradient, name).to(ScalarType.Float64).reshape(-1) - expected).norm().item<double>();
            Assert.True(error < tolerance * expected.norm().item<double>(), $"{name}: error {error}");
        }
    }

    /// <summary>
    /// By hand: two sequences of four tokens and of one, two experts, one a token; three tokens of the first are trained.
    /// </summary>
    [Fact]
    public void Attach_TokensOfTwoExperts_IsTheFormulaAndItsGradient()
    {
        using var scope = NewDisposeScope();
        var configuration = DecoderShapes.Shape("mixtral") with
        {
            Experts = new()
            {
                NumExperts = 2,
                NumExpertsPerToken = 1,
                IntermediateSize = 4,
                NormalizesTopK = true,
                RouterLossWeight = 0.01,
            },
        };
        var balance = RouterBalance.Of(configuration, new TokenBatch(new int[5], [4, 1], Outputs: [1, 2, 3, 4]))!;
        double[] shares = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.4, 0.6, 0.2, 0.8];
        var probabilities = tensor(shares, device: TestDevice.Current).reshape(5, 2).requires_grad_(true);
        var output = ones(5, 3, dtype: ScalarType.Float64, device: TestDevice.Current).requires_grad_(true);

        balance.Attach(0, output, probabilities, [0, 0, 0, 1, 1]).sum().backward();
        CustomGradient.Finish();

        // f = (3/4, 1/4), P = (0.7, 0.3): 2·(0.525 + 0.075) = 1.2 for each of three tokens; f = (0, 1), P = (0.2, 0.8): 1.6 for one.
        // Half of it is the share of one of two layers.
        Assert.Equal(0.01 * (3 * 1.2 + 1.6) / 2, balance.Loss, 1e-12);
        double[] ofFirst = [.. Enumerable.Repeat(new[] { 0.75, 0.25 }, 4).SelectMany(f => f).Select(f => 3 * 2 * f / 4)];
        double[] expected = [.. ofFirst.Concat([0, 1 * 2 * 1.0]).Select(slope => 0.01 / 2 * slope)];
        Assert.Equal(expected, probabilities.grad!.cpu().data<double>().ToArray(), (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.Equal(expected.Sum(slope => slope * slope), balance.SquaredGradient, 1e-12);

        // The last layer has the wanted tokens alone: f = (2/3, 1/3), P = (1.9, 1.1) / 3 for three tokens.
        var last = RouterBalance.Of(configuration, new TokenBatch(new int[5], [4, 1], Outputs: [1, 2, 3, 4]))!;
        _ = last.Attach(
            1,
            ones(4, 3, dtype: ScalarType.Float64, device: TestDevice.Current),
            probabilities.detach().narrow(0, 1, 4),
            [0, 0, 1, 1]
        );
        Assert.Equal(0.01 * (3 * 2 * ((2 * 1.9) + 1.1) / 9 + 1.6) / 2, last.Loss, 1e-12);
    }

    /// <summary>Eight experts a token and more tokens than numbers of 32 bits count pairs of.</summary>
    [Fact]
    public void Attach_LongSequence_CountsEveryToken()
    {
        using var scope = NewDisposeScope();
        const int Tokens = 20_000;
        var configuration = DecoderShapes.Shape("qwen3_moe");
        var balance = RouterBalance.Of(configuration, new TokenBatch(new int[Tokens], [Tokens]))!;
        long[] chosen = [.. Enumerable.Range(0, Tokens).SelectMany(_ => Enumerable.Range(0, 8).Select(expert => (long)expert))];

        _ = balance.Attach(0, ones(Tokens, 1), full([Tokens, 8], 1.0 / 8, dtype: ScalarType.Float64), chosen);

        // Every expert has every token: f = 1 and P = 1/8 of each of eight, in one of the layers with experts.
        var layers = Enumerable.Range(0, configuration.NumHiddenLayers).Count(configuration.HasExperts);
        Assert.Equal(configuration.Experts!.RouterLossWeight * Tokens * 8 / layers, balance.Loss, 1e-6);
    }

    [Fact]
    public void Of_ModelWithoutExpertsOrWeight_IsNone()
    {
        var batch = new TokenBatch([1, 2, 3], [3]);
        Assert.Null(RouterBalance.Of(DecoderShapes.Shape("qwen3"), batch));
        var mixtral = DecoderShapes.Shape("mixtral");
        Assert.Null(RouterBalance.Of(mixtral with { Experts = mixtral.Experts! with { RouterLossWeight = 0 } }, batch));
    }
}
