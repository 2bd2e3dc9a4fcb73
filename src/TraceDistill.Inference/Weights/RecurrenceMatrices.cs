using TraceDistill.Inference.Kernels;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference.Weights;

/// <summary>The recurrence of one layer, without the projection into the residual stream.</summary>
sealed class RecurrenceMatrices : IDisposable
{
    /// <param name="source">Gives the weights.</param>
    /// <param name="index">Of the layer, from 0.</param>
    public RecurrenceMatrices(IWeightSource source, int index)
    {
        var prefix = $"model.layers.{index}.mixer.";
        var settings = source.Configuration.Recurrence!;
        Gates = source.ReadMatrix(prefix + "z_proj.weight", prefix + "h_proj.weight");
        if (settings.Tail > 0)
        {
            using var weight = source.ReadVector(prefix + "conv.weight");
            Taps = ConvolutionKernel.TapsOf(weight.Span, settings.ConvKernel);
        }
    }

    /// <summary>Hidden → [gates | candidates].</summary>
    public PackedMatrix Gates { get; }

    /// <summary>[K, D], the current token's first; null without a convolution.</summary>
    public float[]? Taps { get; }

    public void Dispose() => Gates.Dispose();
}
