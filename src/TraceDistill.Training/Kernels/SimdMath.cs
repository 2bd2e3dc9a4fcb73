using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TraceDistill.Training.Kernels;

/// <summary>Vector functions that the runtime lacks, or has only slower for short vectors.</summary>
static class SimdMath
{
    /// <summary>Vector lanes: kernels pad their inner dimension to a multiple of it.</summary>
    public const int Lanes = 16;

    /// <returns>The next multiple of <see cref="Lanes"/>.</returns>
    public static int Pad(int count) => (count + Lanes - 1) / Lanes * Lanes;

    /// <summary>
    /// eˣ with a relative error below 3e-7 for −87 ≤ x ≤ 88, zero below, by x = n·ln 2 + r with |r| ≤ ½ ln 2 and the degree-6 minimax
    /// polynomial of Cephes' expf.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        var clamped = Vector512.Min(Vector512.Max(x, Vector512.Create(-87f)), Vector512.Create(88f));
        var n = Vector512.Round(clamped * 1.44269504f);
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), clamped);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        var p = Vector512.Create(1.9875691500e-4f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        var scale = Vector512.ShiftLeft(Vector512.ConvertToInt32(n) + Vector512.Create(127), 23).AsSingle();
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(-87f)), Vector512<float>.Zero, p * scale);
    }

    /// <summary>In place: v ← exp(v − shift).</summary>
    /// <returns>Their sum.</returns>
    public static unsafe float ExpShifted(float* values, int count, float shift)
    {
        var sum = Vector512<float>.Zero;
        var offset = Vector512.Create(shift);
        var i = 0;
        for (; i <= count - Lanes; i += Lanes)
        {
            var e = Exp(Vector512.Load(values + i) - offset);
            e.Store(values + i);
            sum += e;
        }

        var total = Vector512.Sum(sum);
        for (; i < count; i++)
        {
            values[i] = Exp(Vector512.Create(values[i] - shift)).ToScalar();
            total += values[i];
        }

        return total;
    }

    /// <summary>destination ← source · factor; for a few channels, where a call of TensorPrimitives costs more than the work.</summary>
    public static unsafe void Scale(float* source, float factor, float* destination, int count)
    {
        var c = 0;
        for (; c <= count - Lanes; c += Lanes)
        {
            (Vector512.Load(source + c) * factor).Store(destination + c);
        }

        for (; c < count; c++)
        {
            destination[c] = source[c] * factor;
        }
    }

    /// <returns>Σ a·b.</returns>
    public static unsafe float Dot(float* a, float* b, int count)
    {
        var sum = Vector512<float>.Zero;
        var c = 0;
        for (; c <= count - Lanes; c += Lanes)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(a + c), Vector512.Load(b + c), sum);
        }

        var total = Vector512.Sum(sum);
        for (; c < count; c++)
        {
            total += a[c] * b[c];
        }

        return total;
    }
}
