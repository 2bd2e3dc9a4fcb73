using System.Buffers.Binary;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>
/// 32 values x = d · (q − 8): float16 d, then 16 bytes, each with value i in its low and value i + 16 in its high four bits.
/// </summary>
static class Q4_0
{
    const int Levels = 8;

    public const int Bytes = 2 + 16;

    public static void Encode(ReadOnlySpan<float> x, Span<byte> block)
    {
        var scale = (Half)SymmetricScale.Find(x, Levels);
        Span<byte> codes = stackalloc byte[32];
        SymmetricScale.Codes(x, (float)scale, Levels, codes);
        BinaryPrimitives.WriteHalfLittleEndian(block, scale);
        for (var i = 0; i < 16; i++)
        {
            block[2 + i] = (byte)(codes[i] | codes[i + 16] << 4);
        }
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> x)
    {
        var scale = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        for (var i = 0; i < 16; i++)
        {
            x[i] = ((block[2 + i] & 15) - Levels) * scale;
            x[i + 16] = ((block[2 + i] >> 4) - Levels) * scale;
        }
    }
}
