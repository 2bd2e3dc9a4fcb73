using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

[Trait("Category", "Numeric")]
public class RouterBalanceTests
{
    /// <summary>Loss and gradient of a pass over several sequences; the loss sees all of them.</summary>
    [Theory]
    [InlineData("mixtral", false, ScalarType.Float64)]
    [InlineData("qwen3_moe", false, ScalarType.Float64)]
    [InlineData("qwen3_moe", true, ScalarType.Float32)]
    public void Backward_WithTheLoss_EqualsLibtorchAutogradInFloat64(string shape, bool gradientCheckpointing, ScalarType activations)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 6);
        using var gradient = new FloatBuffer(parameters.Count);
        using var decoder = new Decoder(TrainedWeights.All(parameters), gradient, null, gradientCheckpointing, activations);
        var (batch, experts) = (DecoderShapes.Batch(33, 5, 64), parameters.Configuration.Experts!);
        var balance = RouterBalance.Of(parameters.Configuration, batch.Outputs.Length)!;
        var slopes = randn([batch.Ids.Length, parameters.Configuration.HiddenSize], dtype: ScalarType.Float64, generator: new Generator(9));

        decoder.Forward(batch, balance: balance).backward([slopes.to(activations)]);
        CustomGradient.Finish();

        var reference = new ReferenceLlama(parameters);
        var hidden = cat([.. DecoderShapes.Sequences(batch).Select(reference.Forward)], 0);
        var loss = experts.RouterLossWeight * batch.Outputs.Length * reference.RouterLoss();
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

    /// <summary>By hand: four tokens, two experts, one a token.</summary>
    [Fact]
    public void Attach_FourTokensOfTwoExperts_IsTheFormulaAndItsGradient()
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
        var balance = RouterBalance.Of(configuration, tokens: 10)!;
        var probabilities = tensor(new[] { 0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.4, 0.6 }).reshape(4, 2).requires_grad_(true);

        var y = balance.Attach(0, ones(4, 3, dtype: ScalarType.Float64).requires_grad_(true), probabilities, [3, 1]);
        y.sum().backward();
        CustomGradient.Finish();

        // f = (3/4, 1/4), P = (0.7, 0.3): 2·(0.525 + 0.075) = 1.2, half of it the share of one of two layers.
        Assert.Equal(0.01 * 10 * 1.2 / 2, balance.Loss, 1e-12);
        double[] expected = [.. Enumerable.Repeat(new[] { 0.75, 0.25 }, 4).SelectMany(f => f).Select(f => 0.01 * 10 / 2 * 2 * f / 4)];
        Assert.Equal(expected, probabilities.grad!.data<double>().ToArray(), (a, b) => Math.Abs(a - b) < 1e-12);
    }

    [Fact]
    public void Of_ModelWithoutExpertsOrWeight_IsNone()
    {
        Assert.Null(RouterBalance.Of(DecoderShapes.Shape("qwen3"), 3));
        var mixtral = DecoderShapes.Shape("mixtral");
        Assert.Null(RouterBalance.Of(mixtral with { Experts = mixtral.Experts! with { RouterLossWeight = 0 } }, 3));
    }
}
