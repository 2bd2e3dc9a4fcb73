using System.Buffers.Binary;
using System.Numerics.Tensors;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>
/// 256 values in sixteen groups of 16, x = d · scale · (q − 32): 128 bytes of low four bits, 64 of high two
/// bits, sixteen scales as signed bytes, float16 d. Of each 128 values, those 32 or 64 or 96 apart share bytes.
/// </summary>
static class Q6K
{
    const int Groups = 16;
    const int GroupSize = 16;
    const int Levels = 32;
    const int LargestScale = 128;
    const int HighBits = 128;
    const int Scales = HighBits + 64;
    const int Unit = Scales + Groups;

    public const int Bytes = Unit + 2;

    public static void Encode(ReadOnlySpan<float> x, Span<byte> block)
    {
        Span<float> scales = stackalloc float[Groups];
        for (var g = 0; g < Groups; g++)
        {
            scales[g] = SymmetricScale.Find(x.Slice(g * GroupSize, GroupSize), Levels);
        }

        // The largest is −128, which only the negative side reaches.
        var d = (Half)(scales[TensorPrimitives.IndexOfMaxMagnitude(scales)] / -LargestScale);
        BinaryPrimitives.WriteHalfLittleEndian(block[Unit..], d);
        Span<byte> codes = stackalloc byte[Groups * GroupSize];
        for (var g = 0; g < Groups; g++)
        {
            var scale = d == Half.Zero ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(scales[g] / (float)d), -LargestScale, LargestScale - 1);
            block[Scales + g] = (byte)scale;
            SymmetricScale.Codes(x.Slice(g * GroupSize, GroupSize), (float)d * scale, Levels, codes[(g * GroupSize)..]);
        }

        for (var half = 0; half < 2; half++)
        {
            var part = codes.Slice(half * 128, 128);
            for (var i = 0; i < 32; i++)
            {
                var (a, b, c, e) = (part[i], part[i + 32], part[i + 64], part[i + 96]);
                block[half * 64 + i] = (byte)((a & 15) | c << 4);
                block[half * 64 + 32 + i] = (byte)((b & 15) | e << 4);
                block[HighBits + half * 32 + i] = (byte)(a >> 4 | b >> 4 << 2 | c >> 4 << 4 | e >> 4 << 6);
            }
        }
    }
}
