using System.Buffers.Binary;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>
/// 32 values x = d · (q − 16): float16 d, the fifth bits of all (bit i is value i's), then
/// the other four bits as <see cref="Q4_0"/> has them.
/// </summary>
static class Q5_0
{
    const int Levels = 16;

    public const int Bytes = 2 + 4 + 16;

    public static void Encode(ReadOnlySpan<float> x, Span<byte> block)
    {
        var scale = (Half)SymmetricScale.Find(x, Levels);
        Span<byte> codes = stackalloc byte[32];
        SymmetricScale.Codes(x, (float)scale, Levels, codes);
        var fifth = 0u;
        for (var i = 0; i < 32; i++)
        {
            fifth |= (uint)(codes[i] >> 4) << i;
        }

        BinaryPrimitives.WriteHalfLittleEndian(block, scale);
        BinaryPrimitives.WriteUInt32LittleEndian(block[2..], fifth);
        for (var i = 0; i < 16; i++)
        {
            block[6 + i] = (byte)((codes[i] & 15) | codes[i + 16] << 4);
        }
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> x)
    {
        var scale = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        for (var i = 0; i < 32; i++)
        {
            var low = i < 16 ? block[6 + i] & 15 : block[6 + i - 16] >> 4;
            x[i] = ((low | (int)(fifth >> i & 1) << 4) - Levels) * scale;
        }
    }
}
