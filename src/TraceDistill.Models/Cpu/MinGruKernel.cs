using System.Numerics;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// h_t = (1 − z_t) ∘ h_{t−1} + z_t ∘ g(c_t), z = σ(k), g(c) = c + ½ for c ≥ 0 and σ(c) below (Feng et al., arXiv 2410.01201,
/// section 3.1 and appendix B), one token after another: there are enough channels to fill vectors.
/// </summary>
static unsafe class MinGruKernel
{
    /// <summary>Sequences one after another, each from a state of zeros.</summary>
    /// <param name="gates">[N, 2·e]: k, then c.</param>
    /// <param name="states">[N, e], written.</param>
    /// <param name="lengths">Of the sequences; they sum to N.</param>
    public static void Forward(float* gates, float* states, int[] lengths, int e)
    {
        foreach (var length in lengths)
        {
            new Span<float>(states, length > 0 ? e : 0).Clear();
            for (var t = 0; t < length; t++, gates += 2 * e, states += e)
            {
                Step(gates, t == 0 ? states : states - e, states, e);
            }
        }
    }

    /// <summary>One token.</summary>
    /// <param name="gates">[2·e].</param>
    /// <param name="state">[e] the former state; becomes the new one.</param>
    public static void Step(ReadOnlySpan<float> gates, Span<float> state)
    {
        fixed (
            float* both = gates,
                h = state
        )
        {
            Step(both, h, h, state.Length);
        }
    }

    /// <summary>The gradient of <see cref="Forward"/>.</summary>
    /// <param name="gates">As given to the forward pass.</param>
    /// <param name="states">[N, e] as it wrote them.</param>
    /// <param name="slopes">[N, e] gradient of the states.</param>
    /// <param name="gradient">[N, 2·e], written.</param>
    public static void Backward(float* gates, float* states, float* slopes, float* gradient, int[] lengths, int e)
    {
        var carried = new float[e];
        var none = new float[e];
        fixed (
            float* carry = carried,
                zeros = none
        )
        {
            var first = 0L;
            foreach (var length in lengths)
            {
                carried.AsSpan().Clear();
                for (var row = first + length - 1; row >= first; row--)
                {
                    StepBack(
                        gates + (row * 2 * e),
                        row == first ? zeros : states + ((row - 1) * e),
                        slopes + (row * e),
                        carry,
                        gradient + (row * 2 * e),
                        e
                    );
                }

                first += length;
            }
        }
    }

    static void Step(float* gates, float* former, float* state, int e)
    {
        var i = 0;
        for (; i <= e - Vector<float>.Count; i += Vector<float>.Count)
        {
            var (z, kept) = Gate(Vector.Load(gates + i));
            (kept * Vector.Load(former + i) + z * Candidate(Vector.Load(gates + e + i)).Value).Store(state + i);
        }

        for (; i < e; i++)
        {
            var (z, kept) = Gate(Vector.Create(gates[i]));
            state[i] = kept.ToScalar() * former[i] + z.ToScalar() * Candidate(Vector.Create(gates[e + i])).Value.ToScalar();
        }
    }

    /// <param name="carry">[e] gradient that the next token hands back; becomes that of this one for the token before.</param>
    static void StepBack(float* gates, float* former, float* slopes, float* carry, float* gradient, int e)
    {
        var i = 0;
        for (; i <= e - Vector<float>.Count; i += Vector<float>.Count)
        {
            var (dk, dc, handed) = Slopes(
                Vector.Load(gates + i),
                Vector.Load(gates + e + i),
                Vector.Load(former + i),
                Vector.Load(slopes + i) + Vector.Load(carry + i)
            );
            dk.Store(gradient + i);
            dc.Store(gradient + e + i);
            handed.Store(carry + i);
        }

        for (; i < e; i++)
        {
            var (dk, dc, handed) = Slopes(
                Vector.Create(gates[i]),
                Vector.Create(gates[e + i]),
                Vector.Create(former[i]),
                Vector.Create(slopes[i] + carry[i])
            );
            (gradient[i], gradient[e + i], carry[i]) = (dk.ToScalar(), dc.ToScalar(), handed.ToScalar());
        }
    }

    static (Vector<float> Gate, Vector<float> Candidate, Vector<float> Carry) Slopes(
        Vector<float> k,
        Vector<float> c,
        Vector<float> former,
        Vector<float> slope
    )
    {
        var (z, kept) = Gate(k);
        var (value, derivative) = Candidate(c);
        return (slope * (value - former) * z * kept, slope * z * derivative, slope * kept);
    }

    /// <returns>σ(k) and 1 − σ(k) = σ(−k), each rounded for itself: many factors of nearly 1 are to stay what they are.</returns>
    static (Vector<float> Taken, Vector<float> Kept) Gate(Vector<float> k)
    {
        var e = SimdMath.Exp(-k);
        var sum = Vector<float>.One + e;
        return (Vector<float>.One / sum, e / sum);
    }

    /// <returns>g and its derivative.</returns>
    static (Vector<float> Value, Vector<float> Derivative) Candidate(Vector<float> c)
    {
        var (sigmoid, rest) = Gate(c);
        var isNegative = Vector.LessThan(c, Vector<float>.Zero);
        return (
            Vector.ConditionalSelect(isNegative, sigmoid, c + Vector.Create(0.5f)),
            Vector.ConditionalSelect(isNegative, sigmoid * rest, Vector<float>.One)
        );
    }
}
