using System.Numerics;

namespace TraceDistill.Data.Shards.Codec;

/// <summary>Whole numbers of any size over a nibble coder.</summary>
static class NumberCoding
{
    /// <summary>Numbers are below this.</summary>
    public const int Limit = 1 << 30;

    const int LongLength = 15;

    /// <summary>
    /// A number v ≥ 0: its length in bits under an adaptive model (0 for v = 0; from 15 on the nibble 15 and a second one for the rest),
    /// then the bits below the leading one, evenly distributed, the upper ones first in portions of at most 16.
    /// </summary>
    /// <param name="coder">Encoder or decoder.</param>
    /// <param name="models">The models.</param>
    /// <param name="model">Model of the length; the one behind it is that of long lengths' second nibble.</param>
    /// <param name="value">The number to encode.</param>
    public static int Number<T>(ref T coder, AdaptiveNibbles models, int model, int value)
        where T : INibbleCoder
    {
        var length = 32 - BitOperations.LeadingZeroCount((uint)value);
        var coded = coder.Nibble(models, model, Math.Min(length, LongLength));
        if (coded == LongLength)
        {
            coded += coder.Nibble(models, model + 1, length - LongLength);
        }

        if (coded <= 1)
        {
            return coded;
        }

        var below = coded - 1;
        var number = 1;
        if (below > 16)
        {
            number = number << (below - 16) | coder.Bits(below - 16, (value >> 16) & ((1 << (below - 16)) - 1));
        }

        below = Math.Min(below, 16);
        return number << below | coder.Bits(below, value & ((1 << below) - 1));
    }
}
