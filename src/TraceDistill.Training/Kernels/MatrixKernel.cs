using System.Runtime.Intrinsics;

namespace TraceDistill.Training.Kernels;

/// <summary>
/// Small single-threaded matrix products inside attention, where a call into a BLAS for each head of each sequence would cost more
/// than the product.
/// </summary>
static unsafe class MatrixKernel
{
    /// <summary>C ← A·B, or C ← C + A·B.</summary>
    /// <param name="a">[m, k] with strides <paramref name="aRow"/> and <paramref name="aColumn"/>: either order, so also a transpose.</param>
    /// <param name="b">[k, n], rows <paramref name="bRow"/> apart.</param>
    /// <param name="c">[m, n], rows <paramref name="cRow"/> apart.</param>
    /// <param name="n">A multiple of <see cref="SimdMath.Lanes"/>.</param>
    public static void Multiply(
        float* a, int aRow, int aColumn, float* b, int bRow, float* c, int cRow, int m, int n, int k, bool accumulate)
    {
        const int Lanes = SimdMath.Lanes;
        var j = 0;
        for (; j <= n - 2 * Lanes; j += 2 * Lanes)
        {
            var i = 0;
            for (; i <= m - 4; i += 4)
            {
                Block4x2(a + (long)i * aRow, aRow, aColumn, b + j, bRow, c + (long)i * cRow + j, cRow, k, accumulate);
            }

            for (; i < m; i++)
            {
                Row(a + (long)i * aRow, aColumn, b + j, bRow, c + (long)i * cRow + j, k, accumulate);
                Row(a + (long)i * aRow, aColumn, b + j + Lanes, bRow, c + (long)i * cRow + j + Lanes, k, accumulate);
            }
        }

        for (; j < n; j += Lanes)
        {
            var i = 0;
            for (; i <= m - 4; i += 4)
            {
                Block4x1(a + (long)i * aRow, aRow, aColumn, b + j, bRow, c + (long)i * cRow + j, cRow, k, accumulate);
            }

            for (; i < m; i++)
            {
                Row(a + (long)i * aRow, aColumn, b + j, bRow, c + (long)i * cRow + j, k, accumulate);
            }
        }
    }

    static void Block4x2(float* a, int aRow, int aColumn, float* b, int bRow, float* c, int cRow, int k, bool accumulate)
    {
        Vector512<float> c00, c01, c10, c11, c20, c21, c30, c31;
        if (accumulate)
        {
            (c00, c01) = (Vector512.Load(c), Vector512.Load(c + 16));
            (c10, c11) = (Vector512.Load(c + cRow), Vector512.Load(c + cRow + 16));
            (c20, c21) = (Vector512.Load(c + 2 * cRow), Vector512.Load(c + 2 * cRow + 16));
            (c30, c31) = (Vector512.Load(c + 3 * cRow), Vector512.Load(c + 3 * cRow + 16));
        }
        else
        {
            c00 = c01 = c10 = c11 = c20 = c21 = c30 = c31 = Vector512<float>.Zero;
        }

        float* a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow;
        for (var p = 0; p < k; p++)
        {
            var b0 = Vector512.Load(b);
            var b1 = Vector512.Load(b + 16);
            var x = Vector512.Create(*a);
            c00 = Vector512.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(x, b1, c01);
            x = Vector512.Create(*a1);
            c10 = Vector512.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(x, b1, c11);
            x = Vector512.Create(*a2);
            c20 = Vector512.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(x, b1, c21);
            x = Vector512.Create(*a3);
            c30 = Vector512.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(x, b1, c31);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }

        c00.Store(c);
        c01.Store(c + 16);
        c10.Store(c + cRow);
        c11.Store(c + cRow + 16);
        c20.Store(c + 2 * cRow);
        c21.Store(c + 2 * cRow + 16);
        c30.Store(c + 3 * cRow);
        c31.Store(c + 3 * cRow + 16);
    }

    static void Block4x1(float* a, int aRow, int aColumn, float* b, int bRow, float* c, int cRow, int k, bool accumulate)
    {
        Vector512<float> c0, c1, c2, c3;
        if (accumulate)
        {
            (c0, c1, c2, c3) = (Vector512.Load(c), Vector512.Load(c + cRow), Vector512.Load(c + 2 * cRow), Vector512.Load(c + 3 * cRow));
        }
        else
        {
            c0 = c1 = c2 = c3 = Vector512<float>.Zero;
        }

        float* a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow;
        for (var p = 0; p < k; p++)
        {
            var x = Vector512.Load(b);
            c0 = Vector512.FusedMultiplyAdd(Vector512.Create(*a), x, c0);
            c1 = Vector512.FusedMultiplyAdd(Vector512.Create(*a1), x, c1);
            c2 = Vector512.FusedMultiplyAdd(Vector512.Create(*a2), x, c2);
            c3 = Vector512.FusedMultiplyAdd(Vector512.Create(*a3), x, c3);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }

        c0.Store(c);
        c1.Store(c + cRow);
        c2.Store(c + 2 * cRow);
        c3.Store(c + 3 * cRow);
    }

    static void Row(float* a, int aColumn, float* b, int bRow, float* c, int k, bool accumulate)
    {
        var sum = accumulate ? Vector512.Load(c) : Vector512<float>.Zero;
        for (var p = 0; p < k; p++)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(*a), Vector512.Load(b), sum);
            a += aColumn;
            b += bRow;
        }

        sum.Store(c);
    }
}
