using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Models;

/// <summary>One forward and backward pass.</summary>
sealed class DecoderRun : IDisposable
{
    /// <param name="slopes">[M, D] the gradient of the hidden states.</param>
    public DecoderRun(TrainedWeights weights, TokenBatch batch, Tensor slopes, PassNoise? noise = null, bool gradientCheckpointing = false)
    {
        using var scope = NewDisposeScope();
        Gradient = new FloatBuffer(weights.Count);
        using var decoder = new Decoder(weights, Gradient, gradientCheckpointing: gradientCheckpointing);
        var hidden = decoder.Forward(batch, noise);
        Hidden = hidden.data<float>().ToArray();
        hidden.backward([slopes]);
        CustomGradient.Finish();
    }

    /// <summary>[M, D].</summary>
    public float[] Hidden { get; }

    /// <summary>[trained weights].</summary>
    public FloatBuffer Gradient { get; }

    /// <returns>[M, D] hidden states, computed without a gradient.</returns>
    public static float[] Forward(TrainedWeights weights, TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var decoder = new Decoder(weights);
        return decoder.Forward(batch).data<float>().ToArray();
    }

    public void Dispose() => Gradient.Dispose();
}
