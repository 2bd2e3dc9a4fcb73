using System.Runtime.Intrinsics;

namespace TraceDistill.Inference.Kernels;

/// <summary>Storage format of a panel's weights, with its exact conversion to float32 in registers.</summary>
/// <remarks>
/// 16-bit weights are stored in pairs, half a load apart: one load and a shift or a mask give two registers in
/// order. A pair is of columns c and c + 8 where vectors are 256 bits wide, and of c and c + 16 where they are 512.
/// </remarks>
unsafe interface IPanelFormat
{
    /// <summary>Bytes of a weight.</summary>
    static abstract int Bytes { get; }

    /// <summary>16 weights.</summary>
    static abstract void Load(byte* weights, out Vector256<float> low, out Vector256<float> high);

    /// <summary>32 weights.</summary>
    static abstract void Load(byte* weights, out Vector512<float> low, out Vector512<float> high);
}

readonly unsafe struct Float32Panel : IPanelFormat
{
    public static int Bytes => 4;

    public static void Load(byte* weights, out Vector256<float> low, out Vector256<float> high) =>
        (low, high) = (Vector256.LoadAligned((float*)weights), Vector256.LoadAligned((float*)weights + 8));

    public static void Load(byte* weights, out Vector512<float> low, out Vector512<float> high) =>
        (low, high) = (Vector512.LoadAligned((float*)weights), Vector512.LoadAligned((float*)weights + 16));
}

/// <summary>The upper half of a float32.</summary>
readonly unsafe struct BFloat16Panel : IPanelFormat
{
    const uint Upper = 0xffff0000;

    public static int Bytes => 2;

    public static void Load(byte* weights, out Vector256<float> low, out Vector256<float> high)
    {
        var pairs = Vector256.LoadAligned((uint*)weights);
        (low, high) = ((pairs << 16).AsSingle(), (pairs & Vector256.Create(Upper)).AsSingle());
    }

    public static void Load(byte* weights, out Vector512<float> low, out Vector512<float> high)
    {
        var pairs = Vector512.LoadAligned((uint*)weights);
        (low, high) = ((pairs << 16).AsSingle(), (pairs & Vector512.Create(Upper)).AsSingle());
    }
}

/// <summary>
/// IEEE half precision: its exponent and fraction moved to where float32 has them are 2¹¹² times too
/// small, subnormal numbers included. Infinities and NaN, which are no weights, come out as large numbers.
/// </summary>
readonly unsafe struct Float16Panel : IPanelFormat
{
    const uint Sign = 0x80000000,
        Magnitude = 0x0fffe000;
    const float Scale = 5.192296858534828e33f; // 2¹¹²

    public static int Bytes => 2;

    public static void Load(byte* weights, out Vector256<float> low, out Vector256<float> high)
    {
        var pairs = Vector256.LoadAligned((uint*)weights);
        (low, high) = (Widen(pairs << 16), Widen(pairs));
    }

    public static void Load(byte* weights, out Vector512<float> low, out Vector512<float> high)
    {
        var pairs = Vector512.LoadAligned((uint*)weights);
        (low, high) = (Widen(pairs << 16), Widen(pairs));
    }

    static Vector256<float> Widen(Vector256<uint> upper) =>
        ((((upper >> 3) & Vector256.Create(Magnitude)).AsSingle() * Scale).AsUInt32() | (upper & Vector256.Create(Sign))).AsSingle();

    static Vector512<float> Widen(Vector512<uint> upper) =>
        ((((upper >> 3) & Vector512.Create(Magnitude)).AsSingle() * Scale).AsUInt32() | (upper & Vector512.Create(Sign))).AsSingle();
}
