using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>The scale of values that are stored as whole numbers from −levels to levels − 1.</summary>
static class SymmetricScale
{
    const int Steps = 9;
    const float Step = 0.1f;

    /// <summary>Below it a scale is nothing in float16, and its reciprocal nothing in float32.</summary>
    const float Least = 1e-30f;

    /// <summary>
    /// Of scales about the one that puts the largest value on −levels, the one of least squared error: for codes q the best scale is
    /// Σxq / Σq², which leaves Σx² − (Σxq)² / Σq². That one comes first, and another has to be better: values that were quantised by it
    /// are so again. Products of the sums are in float64, where those of such values are exact enough to tell.
    /// </summary>
    /// <param name="x">A multiple of eight finite values.</param>
    /// <returns>May be negative; 0 for values that are all zero.</returns>
    public static float Find(ReadOnlySpan<float> x, int levels)
    {
        var peak = x[TensorPrimitives.IndexOfMaxMagnitude(x)];
        if (Math.Abs(peak) < Least)
        {
            return 0;
        }

        var (xq, qq) = Sums(x, -levels / peak, levels);
        for (var step = -Steps; step <= Steps; step++)
        {
            var (otherXq, otherQq) = Sums(x, -(levels + step * Step) / peak, levels);
            if ((double)otherXq * otherXq * qq > (double)xq * xq * otherQq)
            {
                (xq, qq) = (otherXq, otherQq);
            }
        }

        return xq / qq;
    }

    /// <summary>The codes of values under a scale, moved up by <paramref name="levels"/> so that they are not negative.</summary>
    public static void Codes(ReadOnlySpan<float> x, float scale, int levels, Span<byte> codes)
    {
        var inverse = scale == 0 ? 0 : 1 / scale;
        for (var i = 0; i < x.Length; i++)
        {
            codes[i] = (byte)(Math.Clamp(MathF.Round(x[i] * inverse), -levels, levels - 1) + levels);
        }
    }

    static (float Xq, float Qq) Sums(ReadOnlySpan<float> x, float inverse, int levels)
    {
        var (low, high) = (Vector256.Create((float)-levels), Vector256.Create(levels - 1f));
        var (xq, qq) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (; !x.IsEmpty; x = x[Vector256<float>.Count..])
        {
            var value = Vector256.Create(x);
            var code = Vector256.Min(Vector256.Max(Vector256.Round(value * inverse), low), high);
            xq += value * code;
            qq += code * code;
        }

        return (Vector256.Sum(xq), Vector256.Sum(qq));
    }
}
