using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>
/// Scale and offset of values that are stored as whole numbers from 0 to levels: x ≈ scale · q − offset, neither negative.
/// </summary>
static class AffineScale
{
    const int Steps = 20;
    const float Step = 0.1f;

    /// <summary>Below it a scale is nothing in float16, and its reciprocal nothing in float32.</summary>
    const float Least = 1e-30f;

    /// <summary>
    /// Of divisions of the values' range into about as many steps as there are levels, the one
    /// of least squared error, fitted by linear regression.
    /// </summary>
    /// <param name="x">A multiple of eight finite values.</param>
    public static (float Scale, float Offset) Find(ReadOnlySpan<float> x, int levels)
    {
        var (low, high) = (Math.Min(0, TensorPrimitives.Min(x)), TensorPrimitives.Max(x));
        if (high - low < Least)
        {
            return (0, -low);
        }

        var sum = TensorPrimitives.Sum(x);
        var (best, found) = (float.NegativeInfinity, (0f, -low));
        for (var step = 0; step <= Steps; step++)
        {
            var (q, qq, xq) = Sums(x, low, (levels - 1 + step * Step) / (high - low), levels);
            var determinant = x.Length * qq - q * q;
            var (scale, offset) = ((x.Length * xq - sum * q) / determinant, (q * xq - qq * sum) / determinant);
            if (determinant <= 0 || offset < 0)
            {
                (scale, offset) = (xq / qq, 0);
            }

            // What the fit takes away from Σx².
            var explained = scale * xq - offset * sum;
            if (scale > 0 && explained > best)
            {
                (best, found) = (explained, (scale, offset));
            }
        }

        return found;
    }

    public static void Codes(ReadOnlySpan<float> x, float scale, float offset, int levels, Span<byte> codes)
    {
        var inverse = scale == 0 ? 0 : 1 / scale;
        for (var i = 0; i < x.Length; i++)
        {
            codes[i] = (byte)Math.Clamp(MathF.Round((x[i] + offset) * inverse), 0, levels);
        }
    }

    static (float Q, float Qq, float Xq) Sums(ReadOnlySpan<float> x, float low, float inverse, int levels)
    {
        var high = Vector256.Create((float)levels);
        var (q, qq, xq) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (; !x.IsEmpty; x = x[Vector256<float>.Count..])
        {
            var value = Vector256.Create(x);
            var code = Vector256.Min(Vector256.Round((value - Vector256.Create(low)) * inverse), high);
            q += code;
            qq += code * code;
            xq += value * code;
        }

        return (Vector256.Sum(q), Vector256.Sum(qq), Vector256.Sum(xq));
    }
}
