using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Tests.Support;

/// <summary>One forward and backward pass on <see cref="TestDevice"/>; the weights are back on the CPU afterwards.</summary>
sealed class DecoderRun : IDisposable
{
    /// <param name="slopes">[M, D] the gradient of the hidden states.</param>
    public DecoderRun(
        TrainedWeights weights,
        TokenBatch batch,
        Tensor slopes,
        PassNoise? noise = null,
        bool gradientCheckpointing = false
    ) => (Hidden, Gradient) = TestDevice.With(weights, () =>
        {
            using var scope = NewDisposeScope();
            using var gradient = new FloatBuffer(weights.Count, TestDevice.Current);
            using var decoder = new Decoder(weights, gradient, gradientCheckpointing: gradientCheckpointing);
            var hidden = decoder.Forward(batch, noise);
            float[] states = [.. hidden.cpu().data<float>()];
            hidden.backward([slopes.to(TestDevice.Current)]);
            CustomGradient.Finish();
            return (states, gradient.CopyTo(CPU));
        });

    /// <summary>[M, D].</summary>
    public float[] Hidden { get; }

    /// <summary>[trained weights].</summary>
    public FloatBuffer Gradient { get; }

    /// <returns>[M, D] hidden states, computed without a gradient.</returns>
    public static float[] Forward(TrainedWeights weights, TokenBatch batch) => TestDevice.With(weights, () =>
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using var decoder = new Decoder(weights);
            return decoder.Forward(batch).cpu().data<float>().ToArray();
        });

    public void Dispose() => Gradient.Dispose();
}
