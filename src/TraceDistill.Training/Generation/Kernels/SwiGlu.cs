using System.Numerics.Tensors;

namespace TraceDistill.Training.Generation.Kernels;

/// <summary>The gate of a feed-forward layer: silu(gate) · up (Shazeer 2020, arXiv 2002.05202).</summary>
static class SwiGlu
{
    /// <param name="gate">[I] becomes silu(gate) · up.</param>
    /// <param name="up">[I] is used up.</param>
    public static void Apply(Span<float> gate, Span<float> up)
    {
        TensorPrimitives.Multiply(gate, up, up);
        TensorPrimitives.Sigmoid(gate, gate);
        TensorPrimitives.Multiply(gate, up, gate);
    }
}
