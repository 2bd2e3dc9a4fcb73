using System.Numerics;
using System.Runtime.CompilerServices;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// Small single-threaded matrix products inside attention, where a call into a BLAS for each head of each sequence would cost more
/// than the product.
/// </summary>
static unsafe class MatrixKernel
{
    /// <summary>Rows that are made at once; products of a multiple of them are the fastest.</summary>
    public const int Rows = 6;

    /// <inheritdoc cref="Multiply(float*, int, int, float*, int, float*, int, int, int, int, bool)"/>
    public static void Multiply(
        ReadOnlySpan<float> a,
        int aRow,
        int aColumn,
        ReadOnlySpan<float> b,
        int bRow,
        Span<float> c,
        int cRow,
        int m,
        int n,
        int k,
        bool accumulate
    )
    {
        fixed (
            float* left = a,
                right = b,
                result = c
        )
        {
            Multiply(left, aRow, aColumn, right, bRow, result, cRow, m, n, k, accumulate);
        }
    }

    /// <summary>C ← A·B, or C ← C + A·B.</summary>
    /// <param name="a">
    /// [m, k] with strides <paramref name="aRow"/> and <paramref name="aColumn"/>: either order, so also a transpose.
    /// </param>
    /// <param name="b">[k, n], rows <paramref name="bRow"/> apart.</param>
    /// <param name="c">[m, n], rows <paramref name="cRow"/> apart.</param>
    /// <param name="n">A multiple of <see cref="SimdMath.Lanes"/>.</param>
    public static void Multiply(
        float* a,
        int aRow,
        int aColumn,
        float* b,
        int bRow,
        float* c,
        int cRow,
        int m,
        int n,
        int k,
        bool accumulate
    )
    {
        for (var j = 0; j < n; j += 2 * Vector<float>.Count)
        {
            var i = 0;
            for (; i <= m - Rows; i += Rows)
            {
                SixRows(a + (long)i * aRow, aRow, aColumn, b + j, bRow, c + (long)i * cRow + j, cRow, k, accumulate);
            }

            for (; i < m; i++)
            {
                OneRow(a + (long)i * aRow, aColumn, b + j, bRow, c + (long)i * cRow + j, k, accumulate);
            }
        }
    }

    /// <summary>Two vectors of columns: twelve chains of sums, which 16 registers hold beside their operands.</summary>
    static void SixRows(float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int k, bool accumulate)
    {
        // Strides as wide as pointers, and rows by their distance from two of them: the loop is products and loads alone.
        float* a3 = a + 3 * aRow,
            c3 = c + 3 * cRow;
        Load(c, accumulate, out var l0, out var h0);
        Load(c + cRow, accumulate, out var l1, out var h1);
        Load(c + 2 * cRow, accumulate, out var l2, out var h2);
        Load(c3, accumulate, out var l3, out var h3);
        Load(c3 + cRow, accumulate, out var l4, out var h4);
        Load(c3 + 2 * cRow, accumulate, out var l5, out var h5);
        for (var p = 0; p < k; p++)
        {
            var (low, high) = (Vector.Load(b), Vector.Load(b + Vector<float>.Count));
            var x = Vector.Create(*a);
            l0 = SimdMath.MultiplyAdd(x, low, l0);
            h0 = SimdMath.MultiplyAdd(x, high, h0);
            x = Vector.Create(a[aRow]);
            l1 = SimdMath.MultiplyAdd(x, low, l1);
            h1 = SimdMath.MultiplyAdd(x, high, h1);
            x = Vector.Create(a[2 * aRow]);
            l2 = SimdMath.MultiplyAdd(x, low, l2);
            h2 = SimdMath.MultiplyAdd(x, high, h2);
            x = Vector.Create(*a3);
            l3 = SimdMath.MultiplyAdd(x, low, l3);
            h3 = SimdMath.MultiplyAdd(x, high, h3);
            x = Vector.Create(a3[aRow]);
            l4 = SimdMath.MultiplyAdd(x, low, l4);
            h4 = SimdMath.MultiplyAdd(x, high, h4);
            x = Vector.Create(a3[2 * aRow]);
            l5 = SimdMath.MultiplyAdd(x, low, l5);
            h5 = SimdMath.MultiplyAdd(x, high, h5);
            a += aColumn;
            a3 += aColumn;
            b += bRow;
        }

        Store(c, l0, h0);
        Store(c + cRow, l1, h1);
        Store(c + 2 * cRow, l2, h2);
        Store(c3, l3, h3);
        Store(c3 + cRow, l4, h4);
        Store(c3 + 2 * cRow, l5, h5);
    }

    static void OneRow(float* a, nint aColumn, float* b, nint bRow, float* c, int k, bool accumulate)
    {
        Load(c, accumulate, out var low, out var high);
        for (var p = 0; p < k; p++)
        {
            var x = Vector.Create(*a);
            low = SimdMath.MultiplyAdd(x, Vector.Load(b), low);
            high = SimdMath.MultiplyAdd(x, Vector.Load(b + Vector<float>.Count), high);
            a += aColumn;
            b += bRow;
        }

        Store(c, low, high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Load(float* c, bool accumulate, out Vector<float> low, out Vector<float> high) =>
        (low, high) = accumulate ? (Vector.Load(c), Vector.Load(c + Vector<float>.Count)) : (Vector<float>.Zero, Vector<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(float* c, Vector<float> low, Vector<float> high)
    {
        low.Store(c);
        high.Store(c + Vector<float>.Count);
    }
}
