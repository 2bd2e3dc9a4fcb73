using System.Numerics;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference.Kernels;

/// <summary>
/// The gated activation gelu(gate) ∘ up with GELU's approximation by tanh, ½·x·(1 +
/// tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks and Gimpel, arXiv 1606.08415, section 2).
/// </summary>
static class GeGluKernel
{
    const float Root = 0.7978845608f;

    /// <summary>One row, in place.</summary>
    /// <param name="gateUp">[2·f]: gate, then up; its first half is written.</param>
    public static void Forward(Span<float> gateUp)
    {
        var f = gateUp.Length / 2;
        Span<float> gate = gateUp[..f],
            up = gateUp[f..];
        var c = 0;
        for (; c <= f - Vector<float>.Count; c += Vector<float>.Count)
        {
            (Gelu(Vector.Create<float>(gate[c..])) * Vector.Create<float>(up[c..])).CopyTo(gate[c..]);
        }

        for (; c < f; c++)
        {
            gate[c] = Gelu(Vector.Create(gate[c])).ToScalar() * up[c];
        }
    }

    static Vector<float> Gelu(Vector<float> x) => x * 0.5f * (Vector<float>.One + SimdMath.Tanh((x + x * x * x * 0.044715f) * Root));
}
