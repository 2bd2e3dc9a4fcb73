using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace TraceDistill.Models.Cpu;

/// <summary>Vector functions that the runtime lacks, or has only slower for short vectors.</summary>
/// <remarks><see cref="Vector{T}"/> is as wide as the processor is fast with.</remarks>
static unsafe class SimdMath
{
    /// <summary>Kernels pad their inner dimension to a multiple of it: whole pairs of vectors of any width.</summary>
    public static int Lanes => Math.Max(16, 2 * Vector<float>.Count);

    /// <returns>The next multiple of <see cref="Lanes"/>.</returns>
    public static int Pad(int count) => (count + Lanes - 1) / Lanes * Lanes;

    /// <summary>
    /// a·b + c, rounded once where the processor can. Where it cannot, .NET calls the C library for
    /// each lane, six hundred times slower than the product and the sum that are taken here instead.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> MultiplyAdd(Vector<float> a, Vector<float> b, Vector<float> c) =>
        IsFused ? Vector.FusedMultiplyAdd(a, b, c) : a * b + c;

    /// <inheritdoc cref="MultiplyAdd(Vector{float}, Vector{float}, Vector{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        IsFused ? Vector256.FusedMultiplyAdd(a, b, c) : a * b + c;

    /// <inheritdoc cref="MultiplyAdd(Vector{float}, Vector{float}, Vector{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        IsFused ? Vector512.FusedMultiplyAdd(a, b, c) : a * b + c;

    /// <summary>
    /// eˣ with a relative error below 3e-7 for −87 ≤ x ≤ 88, zero below, by x = n·ln 2 + r with |r| ≤ ½ ln 2 and the degree-6 minimax
    /// polynomial of Cephes' expf. NaN stays NaN.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Exp(Vector<float> x)
    {
        // The native minimum and maximum are one instruction each, and give their second operand where one is NaN.
        var clamped = Vector.MinNative(Vector.Create(88f), Vector.MaxNative(Vector.Create(-87f), x));
        var n = Vector.Round(clamped * 1.44269504f);
        var r = MultiplyAdd(n, Vector.Create(-0.693359375f), clamped);
        r = MultiplyAdd(n, Vector.Create(2.12194440e-4f), r);
        var p = Vector.Create(1.9875691500e-4f);
        p = MultiplyAdd(p, r, Vector.Create(1.3981999507e-3f));
        p = MultiplyAdd(p, r, Vector.Create(8.3334519073e-3f));
        p = MultiplyAdd(p, r, Vector.Create(4.1665795894e-2f));
        p = MultiplyAdd(p, r, Vector.Create(1.6666665459e-1f));
        p = MultiplyAdd(p, r, Vector.Create(5.0000001201e-1f));
        p = MultiplyAdd(p, r * r, r + Vector<float>.One);
        var scale = Vector.ShiftLeft(Vector.ConvertToInt32Native(n) + Vector.Create(127), 23).As<int, float>();
        return Vector.ConditionalSelect(Vector.LessThan(x, Vector.Create(-87f)), Vector<float>.Zero, p * scale);
    }

    /// <summary>
    /// tanh x with a relative error below 4e-7: 1 − 2 / (e²ˣ + 1) for |x| > 0.625, and below
    /// that the polynomial of Cephes' tanhf, for the former cancels there.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Tanh(Vector<float> x)
    {
        var square = x * x;
        var p = Vector.Create(-5.70498872745e-3f);
        p = MultiplyAdd(p, square, Vector.Create(2.06390887954e-2f));
        p = MultiplyAdd(p, square, Vector.Create(-5.37397155531e-2f));
        p = MultiplyAdd(p, square, Vector.Create(1.33314422036e-1f));
        p = MultiplyAdd(p, square, Vector.Create(-3.33332819422e-1f));
        var near = MultiplyAdd(p * square, x, x);
        var far = Vector<float>.One - Vector.Create(2f) / (Exp(x + x) + Vector<float>.One);
        return Vector.ConditionalSelect(Vector.LessThan(square, Vector.Create(0.625f * 0.625f)), near, far);
    }

    /// <inheritdoc cref="SoftCap(float*, int, float)"/>
    public static void SoftCap(Span<float> values, float cap)
    {
        fixed (float* pointer = values)
        {
            SoftCap(pointer, values.Length, cap);
        }
    }

    /// <summary>In place: v ← cap · tanh(v / cap).</summary>
    /// <param name="values">Whole vectors.</param>
    public static void SoftCap(float* values, int count, float cap)
    {
        for (var i = 0; i < count; i += Vector<float>.Count)
        {
            (Tanh(Vector.Load(values + i) / cap) * cap).Store(values + i);
        }
    }

    /// <inheritdoc cref="ExpShifted(float*, int, float)"/>
    public static float ExpShifted(Span<float> values, float shift)
    {
        fixed (float* pointer = values)
        {
            return ExpShifted(pointer, values.Length, shift);
        }
    }

    /// <summary>In place: v ← exp(v − shift).</summary>
    /// <returns>Their sum.</returns>
    public static float ExpShifted(float* values, int count, float shift)
    {
        var sum = Vector<float>.Zero;
        var offset = Vector.Create(shift);
        var i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            var e = Exp(Vector.Load(values + i) - offset);
            e.Store(values + i);
            sum += e;
        }

        var total = Vector.Sum(sum);
        for (; i < count; i++)
        {
            values[i] = Exp(Vector.Create(values[i] - shift)).ToScalar();
            total += values[i];
        }

        return total;
    }

    /// <summary>destination ← source · factor; for a few channels, where a call of TensorPrimitives costs more than the work.</summary>
    public static void Scale(float* source, float factor, float* destination, int count)
    {
        var c = 0;
        for (; c <= count - Vector<float>.Count; c += Vector<float>.Count)
        {
            (Vector.Load(source + c) * factor).Store(destination + c);
        }

        for (; c < count; c++)
        {
            destination[c] = source[c] * factor;
        }
    }

    /// <summary>destination ← sourceᵀ · factor.</summary>
    /// <param name="source">[rows, columns], rows <paramref name="sourceRow"/> apart.</param>
    /// <param name="destination">[columns, rows], rows <paramref name="destinationRow"/> apart.</param>
    public static void Transpose(float* source, int sourceRow, float* destination, int destinationRow, int rows, int columns, float factor)
    {
        var done = 0;
        if (Sse.IsSupported)
        {
            // Squares of four: pairs of rows are interleaved twice.
            var factors = Vector128.Create(factor);
            for (; done <= rows - 4; done += 4)
            {
                var from = source + (long)done * sourceRow;
                for (var c = 0; c <= columns - 4; c += 4)
                {
                    var (r0, r1) = (Vector128.Load(from + c) * factors, Vector128.Load(from + sourceRow + c) * factors);
                    var (r2, r3) = (Vector128.Load(from + 2 * sourceRow + c) * factors, Vector128.Load(from + 3 * sourceRow + c) * factors);
                    var (low01, low23) = (Sse.UnpackLow(r0, r1), Sse.UnpackLow(r2, r3));
                    var (high01, high23) = (Sse.UnpackHigh(r0, r1), Sse.UnpackHigh(r2, r3));
                    var to = destination + (long)c * destinationRow + done;
                    Sse.MoveLowToHigh(low01, low23).Store(to);
                    Sse.MoveHighToLow(low23, low01).Store(to + destinationRow);
                    Sse.MoveLowToHigh(high01, high23).Store(to + 2 * destinationRow);
                    Sse.MoveHighToLow(high23, high01).Store(to + 3 * destinationRow);
                }

                Transpose(from, sourceRow, destination + done, destinationRow, 4, columns / 4 * 4, columns, factor);
            }
        }

        Transpose(source + (long)done * sourceRow, sourceRow, destination + done, destinationRow, rows - done, 0, columns, factor);
    }

    static void Transpose(
        float* source,
        int sourceRow,
        float* destination,
        int destinationRow,
        int rows,
        int first,
        int columns,
        float factor
    )
    {
        for (var row = 0; row < rows; row++)
        {
            for (var c = first; c < columns; c++)
            {
                destination[(long)c * destinationRow + row] = source[(long)row * sourceRow + c] * factor;
            }
        }
    }

    /// <returns>Σ a·b.</returns>
    public static float Dot(float* a, float* b, int count)
    {
        var sum = Vector<float>.Zero;
        var c = 0;
        for (; c <= count - Vector<float>.Count; c += Vector<float>.Count)
        {
            sum = MultiplyAdd(Vector.Load(a + c), Vector.Load(b + c), sum);
        }

        var total = Vector.Sum(sum);
        for (; c < count; c++)
        {
            total += a[c] * b[c];
        }

        return total;
    }

    static bool IsFused => Fma.IsSupported || AdvSimd.IsSupported;
}
