using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

[Trait("Category", "Numeric")]
public class CapturedTests
{
    [Theory]
    [InlineData("qwen3 window")]
    [InlineData("gemma2")]
    [InlineData("phi3 partial")]
    [InlineData("smollm3")]
    public void Forward_LayersAskedFor_KeepsWhatTheReferenceHas(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 5);
        var weights = TrainedWeights.None(parameters);
        var (batch, layers) = (DecoderShapes.Batch(7, 30), Enumerable.Range(0, parameters.Configuration.NumHiddenLayers).ToHashSet());
        using var captured = new Captured(
            new Capture
            {
                HiddenStates = layers,
                AttentionMaps = layers,
                Values = new HashSet<int> { 1 },
            }
        );

        TestDevice.With(weights, () =>
        {
            using var decoder = new Decoder(weights);
            decoder.Forward(batch, captured: captured);
        });

        Assert.Equal([1], captured.Values.Keys);
        var (reference, first) = (new ReferenceLlama(parameters), 0);
        foreach (var (sequence, ids) in DecoderShapes.Sequences(batch).Index())
        {
            reference.Forward(ids);
            var tolerance = Rounding.OfForward(parameters.Configuration, 30);
            foreach (var layer in layers)
            {
                Rounding.Close(reference.Streams[layer + 1], captured.HiddenStates[layer].narrow(0, first, ids.Length), tolerance);
                Rounding.Close(reference.Maps[layer], captured.AttentionMaps[layer][sequence], tolerance);
            }

            Rounding.Close(reference.Values[1].transpose(0, 1), captured.Values[1].narrow(0, first, ids.Length), tolerance);
            first += ids.Length;
        }
    }

    [Fact]
    public void Forward_HiddenStatesOfARecurrentModel_AreWhatTheReferenceHas()
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters("mingru", seed: 5);
        var weights = TrainedWeights.None(parameters);
        var batch = DecoderShapes.Batch(30);
        using var captured = new Captured(
            new Capture
            {
                HiddenStates = new HashSet<int> { 0, 1 },
            }
        );

        TestDevice.With(weights, () =>
        {
            using var decoder = new Decoder(weights);
            decoder.Forward(batch, captured: captured);
        });

        var reference = new ReferenceLlama(parameters);
        reference.Forward(batch.Ids);
        Assert.All(captured.HiddenStates, layer =>
            Rounding.Close(reference.Streams[layer.Key + 1], layer.Value, Rounding.OfForward(parameters.Configuration, 30))
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Forward_AttentionOfARecurrentModel_IsRefusedInOneLine(bool wantsMaps)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters("mingru", seed: 5);
        using var decoder = new Decoder(TrainedWeights.None(parameters));
        var wanted = new HashSet<int> { 0 };
        using var captured = new Captured(wantsMaps ? new Capture { AttentionMaps = wanted } : new Capture { Values = wanted });

        var error = Assert.Throws<InvalidInputException>(() => decoder.Forward(DecoderShapes.Batch(30), captured));

        Assert.Equal("a mingru model has no attention maps and no values: take hidden states, which every model has", error.Message);
    }

    /// <summary>A loss of what was kept has the gradient that autograd gives it in the reference, with checkpointing or without.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Backward_LossOfWhatWasKept_EqualsLibtorchAutogradInFloat64(bool gradientCheckpointing)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters("gemma3", seed: 5);
        var weights = TrainedWeights.All(parameters);
        var wanted = new HashSet<int> { 1, 4 };
        var capture = new Capture
        {
            HiddenStates = wanted,
            AttentionMaps = wanted,
            Values = wanted,
        };
        var batch = DecoderShapes.Batch(40);

        using var gradient = TestDevice.With(weights, () =>
        {
            using var buffer = new FloatBuffer(parameters.Count, TestDevice.Current);
            using var decoder = new Decoder(weights, buffer, gradientCheckpointing: gradientCheckpointing);
            using var captured = new Captured(capture);
            var loss = decoder.Forward(batch, captured: captured).Squared().sum();
            foreach (var layer in wanted)
            {
                loss =
                    loss
                    + captured.HiddenStates[layer].Squared().sum()
                    + captured.AttentionMaps[layer][0].Squared().sum()
                    + captured.Values[layer].Squared().sum();
            }

            loss.backward();
            CustomGradient.Finish();
            return buffer.CopyTo(CPU);
        });

        var reference = new ReferenceLlama(parameters);
        var expected = reference.Forward(batch.Ids).Squared().sum();
        foreach (var layer in wanted)
        {
            expected =
                expected
                + reference.Streams[layer + 1].Squared().sum()
                + reference.Maps[layer].Squared().sum()
                + reference.Values[layer].Squared().sum();
        }

        expected.backward();
        foreach (var name in parameters.Names.Where(name => name != "lm_head.weight"))
        {
            var slope = reference.Gradient(name).reshape(-1);
            var error =
                (parameters.Matrix(gradient, name).to(ScalarType.Float64).reshape(-1) - slope).norm().item<double>()
                / slope.norm().item<double>();
            Assert.True(error < Rounding.OfBackward(parameters.Configuration, 40), $"{name}: relative error {error}");
        }
    }
}
