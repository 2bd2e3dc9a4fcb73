using System.Buffers.Binary;
using System.Numerics.Tensors;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>32 values x = d · q: float16 d, then q as signed bytes. The largest value is ±127.</summary>
static class Q8_0
{
    const int Largest = 127;

    public const int Bytes = 2 + 32;

    public static void Encode(ReadOnlySpan<float> x, Span<byte> block)
    {
        var scale = (Half)(Math.Abs(TensorPrimitives.MaxMagnitude(x)) / Largest);
        BinaryPrimitives.WriteHalfLittleEndian(block, scale);
        var inverse = scale == Half.Zero ? 0 : 1 / (float)scale;
        for (var i = 0; i < 32; i++)
        {
            block[2 + i] = (byte)(sbyte)Math.Clamp(MathF.Round(x[i] * inverse), -Largest, Largest);
        }
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> x)
    {
        var scale = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        for (var i = 0; i < 32; i++)
        {
            x[i] = (sbyte)block[2 + i] * scale;
        }
    }
}
