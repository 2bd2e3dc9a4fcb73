using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference.Kernels;

/// <summary>Inner loops of <see cref="PackedMatrix"/>: a few rows of the input against one panel of 32 columns.</summary>
/// <typeparam name="T">How the panel's weights are stored.</typeparam>
/// <remarks>
/// Every accumulator is a local, so that all of them stay in registers: 16 of the 32 that AVX-512
/// has for eight rows, 8 of the 16 of AVX2. With fewer rows than a kernel has, the last row is
/// worked on several times and stored once, which costs less than a kernel for each count.
/// </remarks>
static unsafe class PanelKernels<T>
    where T : struct, IPanelFormat
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void EightRows512(in PanelBlock block, byte* panel, int rows)
    {
        var last = block.Input + (long)(rows - 1) * block.InputStride;
        float* a0 = block.Input,
            a1 = a0 + block.InputStride,
            a2 = a1 + block.InputStride,
            a3 = a2 + block.InputStride,
            a4 = a3 + block.InputStride;
        float* a5 = rows > 5 ? a4 + block.InputStride : last,
            a6 = rows > 6 ? a5 + block.InputStride : last,
            a7 = rows > 7 ? a6 + block.InputStride : last;
        Vector512<float> l0 = default,
            l1 = default,
            l2 = default,
            l3 = default,
            l4 = default,
            l5 = default,
            l6 = default,
            l7 = default;
        Vector512<float> h0 = default,
            h1 = default,
            h2 = default,
            h3 = default,
            h4 = default,
            h5 = default,
            h6 = default,
            h7 = default;
        nint inputs = block.Inputs;
        for (nint i = 0; i < inputs; i++)
        {
            T.Load(panel, out Vector512<float> low, out Vector512<float> high);
            panel += T.Bytes * PackedMatrix.PanelWidth;
            var x = Vector512.Create(a0[i]);
            l0 = SimdMath.MultiplyAdd(x, low, l0);
            h0 = SimdMath.MultiplyAdd(x, high, h0);
            x = Vector512.Create(a1[i]);
            l1 = SimdMath.MultiplyAdd(x, low, l1);
            h1 = SimdMath.MultiplyAdd(x, high, h1);
            x = Vector512.Create(a2[i]);
            l2 = SimdMath.MultiplyAdd(x, low, l2);
            h2 = SimdMath.MultiplyAdd(x, high, h2);
            x = Vector512.Create(a3[i]);
            l3 = SimdMath.MultiplyAdd(x, low, l3);
            h3 = SimdMath.MultiplyAdd(x, high, h3);
            x = Vector512.Create(a4[i]);
            l4 = SimdMath.MultiplyAdd(x, low, l4);
            h4 = SimdMath.MultiplyAdd(x, high, h4);
            x = Vector512.Create(a5[i]);
            l5 = SimdMath.MultiplyAdd(x, low, l5);
            h5 = SimdMath.MultiplyAdd(x, high, h5);
            x = Vector512.Create(a6[i]);
            l6 = SimdMath.MultiplyAdd(x, low, l6);
            h6 = SimdMath.MultiplyAdd(x, high, h6);
            x = Vector512.Create(a7[i]);
            l7 = SimdMath.MultiplyAdd(x, low, l7);
            h7 = SimdMath.MultiplyAdd(x, high, h7);
        }

        Store(block, 0, rows, l0, h0);
        Store(block, 1, rows, l1, h1);
        Store(block, 2, rows, l2, h2);
        Store(block, 3, rows, l3, h3);
        Store(block, 4, rows, l4, h4);
        Store(block, 5, rows, l5, h5);
        Store(block, 6, rows, l6, h6);
        Store(block, 7, rows, l7, h7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourRows512(in PanelBlock block, byte* panel, int rows)
    {
        Rows(block, rows, out var a0, out var a1, out var a2, out var a3);
        Vector512<float> l0 = default,
            l1 = default,
            l2 = default,
            l3 = default,
            h0 = default,
            h1 = default,
            h2 = default,
            h3 = default;
        nint inputs = block.Inputs;
        for (nint i = 0; i < inputs; i++)
        {
            T.Load(panel, out Vector512<float> low, out Vector512<float> high);
            panel += T.Bytes * PackedMatrix.PanelWidth;
            var x = Vector512.Create(a0[i]);
            l0 = SimdMath.MultiplyAdd(x, low, l0);
            h0 = SimdMath.MultiplyAdd(x, high, h0);
            x = Vector512.Create(a1[i]);
            l1 = SimdMath.MultiplyAdd(x, low, l1);
            h1 = SimdMath.MultiplyAdd(x, high, h1);
            x = Vector512.Create(a2[i]);
            l2 = SimdMath.MultiplyAdd(x, low, l2);
            h2 = SimdMath.MultiplyAdd(x, high, h2);
            x = Vector512.Create(a3[i]);
            l3 = SimdMath.MultiplyAdd(x, low, l3);
            h3 = SimdMath.MultiplyAdd(x, high, h3);
        }

        Store(block, 0, rows, l0, h0);
        Store(block, 1, rows, l1, h1);
        Store(block, 2, rows, l2, h2);
        Store(block, 3, rows, l3, h3);
    }

    /// <summary>One row, whose time is that of reading the weights: nothing is worked on twice.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void OneRow512(in PanelBlock block, byte* panel)
    {
        Vector512<float> l = default,
            h = default;
        nint inputs = block.Inputs;
        for (nint i = 0; i < inputs; i++)
        {
            T.Load(panel, out Vector512<float> low, out Vector512<float> high);
            panel += T.Bytes * PackedMatrix.PanelWidth;
            var x = Vector512.Create(block.Input[i]);
            l = SimdMath.MultiplyAdd(x, low, l);
            h = SimdMath.MultiplyAdd(x, high, h);
        }

        Store(block, 0, 1, l, h);
    }

    /// <summary>For processors without AVX-512: one row, both halves of the panel at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void OneRow256(in PanelBlock block, byte* panel)
    {
        Vector256<float> l0 = default,
            h0 = default,
            l1 = default,
            h1 = default;
        nint inputs = block.Inputs;
        for (nint i = 0; i < inputs; i++)
        {
            T.Load(panel, out Vector256<float> low, out Vector256<float> high);
            T.Load(panel + (T.Bytes * 16), out Vector256<float> low1, out Vector256<float> high1);
            panel += T.Bytes * PackedMatrix.PanelWidth;
            var x = Vector256.Create(block.Input[i]);
            l0 = SimdMath.MultiplyAdd(x, low, l0);
            h0 = SimdMath.MultiplyAdd(x, high, h0);
            l1 = SimdMath.MultiplyAdd(x, low1, l1);
            h1 = SimdMath.MultiplyAdd(x, high1, h1);
        }

        Store(block, 0, 1, 0, l0, h0);
        Store(block, 0, 1, 16, l1, h1);
    }

    /// <summary>For processors without AVX-512: the two halves of the panel one after the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourRows256(in PanelBlock block, byte* panel, int rows)
    {
        Rows(block, rows, out var a0, out var a1, out var a2, out var a3);
        nint inputs = block.Inputs;
        for (var half = 0; half < PackedMatrix.PanelWidth; half += 16)
        {
            Vector256<float> l0 = default,
                l1 = default,
                l2 = default,
                l3 = default,
                h0 = default,
                h1 = default,
                h2 = default,
                h3 = default;
            var weights = panel + (T.Bytes * half);
            for (nint i = 0; i < inputs; i++)
            {
                T.Load(weights, out Vector256<float> low, out Vector256<float> high);
                weights += T.Bytes * PackedMatrix.PanelWidth;
                var x = Vector256.Create(a0[i]);
                l0 = SimdMath.MultiplyAdd(x, low, l0);
                h0 = SimdMath.MultiplyAdd(x, high, h0);
                x = Vector256.Create(a1[i]);
                l1 = SimdMath.MultiplyAdd(x, low, l1);
                h1 = SimdMath.MultiplyAdd(x, high, h1);
                x = Vector256.Create(a2[i]);
                l2 = SimdMath.MultiplyAdd(x, low, l2);
                h2 = SimdMath.MultiplyAdd(x, high, h2);
                x = Vector256.Create(a3[i]);
                l3 = SimdMath.MultiplyAdd(x, low, l3);
                h3 = SimdMath.MultiplyAdd(x, high, h3);
            }

            Store(block, 0, rows, half, l0, h0);
            Store(block, 1, rows, half, l1, h1);
            Store(block, 2, rows, half, l2, h2);
            Store(block, 3, rows, half, l3, h3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Rows(in PanelBlock block, int rows, out float* a0, out float* a1, out float* a2, out float* a3)
    {
        a0 = block.Input;
        a1 = rows > 1 ? a0 + block.InputStride : a0;
        a2 = rows > 2 ? a1 + block.InputStride : a1;
        a3 = rows > 3 ? a2 + block.InputStride : a2;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(in PanelBlock block, int row, int rows, Vector512<float> low, Vector512<float> high)
    {
        if (row < rows)
        {
            var target = block.Output + (long)row * block.OutputStride;
            (block.Add ? Vector512.LoadAligned(target) + low : low).StoreAligned(target);
            (block.Add ? Vector512.LoadAligned(target + 16) + high : high).StoreAligned(target + 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(in PanelBlock block, int row, int rows, int half, Vector256<float> low, Vector256<float> high)
    {
        if (row < rows)
        {
            var target = block.Output + (long)row * block.OutputStride + half;
            (block.Add ? Vector256.LoadAligned(target) + low : low).StoreAligned(target);
            (block.Add ? Vector256.LoadAligned(target + 8) + high : high).StoreAligned(target + 8);
        }
    }
}
