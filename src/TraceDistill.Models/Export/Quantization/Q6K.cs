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
        if (FindGrid(x, block))
        {
            return;
        }

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

        Pack(codes, block);
    }

    public static void Decode(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[Unit..]);
        for (var i = 0; i < Groups * GroupSize; i++)
        {
            var (half, place) = (i / 128, i % 128);
            var low = block[half * 64 + place % 64] >> place / 64 * 4 & 15;
            var high = block[HighBits + half * 32 + place % 32] >> place / 32 * 2 & 3;
            x[i] = d * (sbyte)block[Scales + i / GroupSize] * ((low | high << 4) - Levels);
        }
    }

    /// <summary>
    /// Encodes values that were rounded to such a block with a scale of −128 among its sixteen, as <see cref="BlockRounding"/> rounds them
    /// and a search for the best scales would not find them again, to these very values.
    /// </summary>
    /// <returns>False for other values.</returns>
    static bool FindGrid(ReadOnlySpan<float> x, Span<byte> block)
    {
        Span<int> units = stackalloc int[Groups * GroupSize];
        for (var g = 0; g < Groups; g++)
        {
            // Of the group with that scale the largest value is 128 · d · q, and no other value is known to tell d.
            var peak = Math.Abs(TensorPrimitives.MaxMagnitude(x.Slice(g * GroupSize, GroupSize)));
            for (var code = Levels; code > 0 && peak > 0; code--)
            {
                var d = (Half)(peak / (LargestScale * code));
                if ((float)d * (LargestScale * code) != peak || !AreMultiples(x, (float)d, units))
                {
                    continue;
                }

                // The sign of d counts: a scale may be −128 and not 128.
                if (Write(units, d, 1, block) || Write(units, d, -1, block))
                {
                    return true;
                }
            }
        }

        return false;
    }

    static bool AreMultiples(ReadOnlySpan<float> x, float unit, Span<int> units)
    {
        for (var i = 0; i < x.Length; i++)
        {
            var count = MathF.Round(x[i] / unit);
            if (Math.Abs(count) > LargestScale * Levels || count * unit != x[i])
            {
                return false;
            }

            units[i] = (int)count;
        }

        return true;
    }

    /// <param name="units">x / d, whole numbers.</param>
    /// <param name="sign">That of the d that is written.</param>
    static bool Write(ReadOnlySpan<int> units, Half d, int sign, Span<byte> block)
    {
        Span<byte> codes = stackalloc byte[Groups * GroupSize];
        for (var g = 0; g < Groups; g++)
        {
            var group = units.Slice(g * GroupSize, GroupSize);
            if (ScaleOf(group, sign) is not { } scale)
            {
                return false;
            }

            block[Scales + g] = (byte)(sbyte)scale;
            for (var i = 0; i < GroupSize; i++)
            {
                codes[g * GroupSize + i] = (byte)((scale == 0 ? 0 : sign * group[i] / scale) + Levels);
            }
        }

        BinaryPrimitives.WriteHalfLittleEndian(block[Unit..], sign < 0 ? -d : d);
        Pack(codes, block);
        return true;
    }

    /// <returns>A scale that divides all of a group into codes; null where there is none.</returns>
    static int? ScaleOf(ReadOnlySpan<int> units, int sign)
    {
        var peak = 0;
        foreach (var count in units)
        {
            peak = Math.Abs(count) > Math.Abs(peak) ? count : peak;
        }

        if (peak == 0)
        {
            return 0;
        }

        for (var code = Levels; code > 0; code--)
        {
            var scale = -sign * peak / code;
            if (scale * code != -sign * peak)
            {
                continue;
            }

            if (IsScale(units, scale, sign))
            {
                return scale;
            }

            if (IsScale(units, -scale, sign))
            {
                return -scale;
            }
        }

        return null;
    }

    static bool IsScale(ReadOnlySpan<int> units, int scale, int sign)
    {
        if (scale is < -LargestScale or >= LargestScale)
        {
            return false;
        }

        foreach (var count in units)
        {
            var code = sign * count / scale;
            if (code * scale != sign * count || code is < -Levels or >= Levels)
            {
                return false;
            }
        }

        return true;
    }

    static void Pack(ReadOnlySpan<byte> codes, Span<byte> block)
    {
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
