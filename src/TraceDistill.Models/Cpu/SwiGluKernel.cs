using System.Numerics;

namespace TraceDistill.Models.Cpu;

/// <summary>The gated activation silu(gate) ∘ up, silu(x) = x / (1 + e⁻ˣ) (Shazeer, arXiv 2002.05202, SwiGLU).</summary>
static unsafe class SwiGluKernel
{
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
                var gate = Vector.Load(gateUp + c);
                (gate / (Vector<float>.One + SimdMath.Exp(-gate)) * Vector.Load(gateUp + f + c)).Store(activation + c);
            }

            for (; c < f; c++)
            {
                activation[c] = gateUp[c] / (1 + MathF.Exp(-gateUp[c])) * gateUp[f + c];
            }
        }
    }

    /// <summary>Overwrites <paramref name="gateUp"/> with its gradient.</summary>
    /// <param name="gateUp">[rows, 2·f] as given to the forward pass.</param>
    /// <param name="activationGradient">[rows, f].</param>
    public static void Backward(float* gateUp, float* activationGradient, int rows, int f)
    {
        for (var row = 0; row < rows; row++, gateUp += 2 * f, activationGradient += f)
        {
            var c = 0;
            for (; c <= f - Vector<float>.Count; c += Vector<float>.Count)
            {
                var (gate, up, gradient) = (Vector.Load(gateUp + c), Vector.Load(gateUp + f + c), Vector.Load(activationGradient + c));
                var sigmoid = Vector<float>.One / (Vector<float>.One + SimdMath.Exp(-gate));
                var silu = gate * sigmoid;
                (gradient * up * (sigmoid + silu * (Vector<float>.One - sigmoid))).Store(gateUp + c);
                (gradient * silu).Store(gateUp + f + c);
            }

            for (; c < f; c++)
            {
                var (gate, up) = (gateUp[c], gateUp[f + c]);
                var sigmoid = 1 / (1 + MathF.Exp(-gate));
                gateUp[c] = activationGradient[c] * up * sigmoid * (1 + gate * (1 - sigmoid));
                gateUp[f + c] = activationGradient[c] * gate * sigmoid;
            }
        }
    }
}
