using System.Buffers.Binary;
using System.Numerics.Tensors;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>
/// 256 values in eight groups of 32, x = d · scale · q − m · offset: float16 d and m, twelve bytes of scales and
/// offsets of six bits, then the codes, 32 bytes for each two groups, the first of them in the low four bits.
/// </summary>
static class Q4K
{
    const int Groups = 8;
    const int GroupSize = 32;
    const int Levels = 15;
    const int LargestScale = 63;

    public const int Bytes = 2 + 2 + 12 + 128;

    public static void Encode(ReadOnlySpan<float> x, Span<byte> block)
    {
        Span<float> scales = stackalloc float[Groups];
        Span<float> offsets = stackalloc float[Groups];
        for (var g = 0; g < Groups; g++)
        {
            (scales[g], offsets[g]) = AffineScale.Find(x.Slice(g * GroupSize, GroupSize), Levels);
        }

        Span<byte> scaleCodes = stackalloc byte[Groups];
        Span<byte> offsetCodes = stackalloc byte[Groups];
        var d = Code(scales, scaleCodes);
        var m = Code(offsets, offsetCodes);
        BinaryPrimitives.WriteHalfLittleEndian(block, d);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], m);
        Pack(scaleCodes, offsetCodes, block[4..16]);
        Span<byte> codes = stackalloc byte[2 * GroupSize];
        for (var g = 0; g < Groups; g += 2)
        {
            for (var half = 0; half < 2; half++)
            {
                var group = x.Slice((g + half) * GroupSize, GroupSize);
                AffineScale.Codes(
                    group,
                    (float)d * scaleCodes[g + half],
                    (float)m * offsetCodes[g + half],
                    Levels,
                    codes[(half * GroupSize)..]
                );
            }

            for (var i = 0; i < GroupSize; i++)
            {
                block[16 + g * 16 + i] = (byte)(codes[i] | codes[GroupSize + i] << 4);
            }
        }
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> x)
    {
        var (d, m) = ((float)BinaryPrimitives.ReadHalfLittleEndian(block), (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]));
        var packed = block[4..16];
        for (var i = 0; i < Groups * GroupSize; i++)
        {
            var g = i / GroupSize;
            var (scale, offset) =
                g < 4
                    ? (packed[g] & 63, packed[g + 4] & 63)
                    : ((packed[g + 4] & 15) | packed[g - 4] >> 6 << 4, packed[g + 4] >> 4 | packed[g] >> 6 << 4);
            var code = block[16 + g / 2 * GroupSize + i % GroupSize] >> g % 2 * 4 & 15;
            x[i] = d * scale * code - m * offset;
        }
    }

    /// <summary>Six bits for each of eight numbers that are not negative, and what one step of them is.</summary>
    static Half Code(ReadOnlySpan<float> values, Span<byte> codes)
    {
        var unit = (Half)(TensorPrimitives.Max(values) / LargestScale);
        for (var g = 0; g < Groups; g++)
        {
            codes[g] = unit == Half.Zero ? (byte)0 : (byte)Math.Clamp(MathF.Round(values[g] / (float)unit), 0, LargestScale);
        }

        return unit;
    }

    /// <summary>
    /// Scales 0 to 3 and offsets 0 to 3 have a byte each; their top two bits hold those of
    /// scales and offsets 4 to 7, whose other four bits share the last four bytes.
    /// </summary>
    static void Pack(ReadOnlySpan<byte> scales, ReadOnlySpan<byte> offsets, Span<byte> packed)
    {
        for (var g = 0; g < 4; g++)
        {
            packed[g] = (byte)(scales[g] | scales[g + 4] >> 4 << 6);
            packed[g + 4] = (byte)(offsets[g] | offsets[g + 4] >> 4 << 6);
            packed[g + 8] = (byte)((scales[g + 4] & 15) | (offsets[g + 4] & 15) << 4);
        }
    }
}
