using System.Numerics;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// The gated activation gelu(gate) ∘ up with GELU's approximation by tanh, ½·x·(1 +
/// tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks and Gimpel, arXiv 1606.08415, section 2).
/// </summary>
static unsafe class GeGluKernel
{
    const float Root = 0.7978845608f;

    /// <summary>One row, in place.</summary>
    /// <param name="gateUp">[2·f]: gate, then up; its first half is written.</param>
    public static void Forward(Span<float> gateUp)
    {
        fixed (float* both = gateUp)
        {
            Forward(both, both, 1, gateUp.Length / 2);
        }
    }

    /// <param name="gateUp">[rows, 2·f]: gate, then up.</param>
    /// <param name="activation">[rows, f], written.</param>
    public static void Forward(float* gateUp, float* activation, int rows, int f)
    {
        for (var row = 0; row < rows; row++, gateUp += 2 * f, activation += f)
        {
            var c = 0;
            for (; c <= f - Vector<float>.Count; c += Vector<float>.Count)
            {
                (Gelu(Vector.Load(gateUp + c)) * Vector.Load(gateUp + f + c)).Store(activation + c);
            }

            for (; c < f; c++)
            {
                activation[c] = Gelu(Vector.Create(gateUp[c])).ToScalar() * gateUp[f + c];
            }
        }
    }

    static Vector<float> Gelu(Vector<float> x) => x * 0.5f * (Vector<float>.One + SimdMath.Tanh((x + x * x * x * 0.044715f) * Root));
}
