namespace TraceDistill.Training.Optimization;

/// <summary>
/// One byte for a number of at most 1 in size, finer the smaller the number: dynamic tree quantization
/// (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", arXiv 2110.02861, section 1.3).
/// Codes count an exponent in leading zero bits, an indicator bit, and spread the rest evenly.
/// </summary>
sealed class DynamicCode
{
    /// <summary>Exponents, of ten.</summary>
    const int Exponents = 7;

    /// <summary>Top bits of a float32 by which codes are looked up: sign, exponent and six of the mantissa.</summary>
    const int LookupShift = 17;

    readonly float[] _values;
    readonly byte[] _lookup = new byte[1 << (32 - LookupShift)];

    DynamicCode(bool isSigned)
    {
        var values = new List<float> { 0, 1 };
        for (var exponent = 0; exponent < Exponents; exponent++)
        {
            var count = 1 << (isSigned ? exponent : exponent + 1);
            for (var i = 0; i < count; i++)
            {
                // The middle of each of so many stretches between 0.1 and 1.
                var value = (float)((0.1 + (0.9 * (i + 0.5) / count)) * Math.Pow(10, exponent + 1 - Exponents));
                values.Add(value);
                if (isSigned)
                {
                    values.Add(-value);
                }
            }
        }

        _values = [.. values.Order()];
        for (var i = 0; i < _lookup.Length; i++)
        {
            var value = BitConverter.Int32BitsToSingle(i << LookupShift);
            var at = float.IsNaN(value) ? 0 : Array.BinarySearch(_values, value);
            _lookup[i] = (byte)Math.Clamp(at < 0 ? ~at : at, 0, _values.Length - 1);
        }
    }

    /// <summary>−1 to 1: for a mean.</summary>
    public static DynamicCode Signed { get; } = new(isSigned: true);

    /// <summary>0 to 1: for a mean square.</summary>
    public static DynamicCode Unsigned { get; } = new(isSigned: false);

    /// <summary>The numbers that codes stand for, ascending; at most 256.</summary>
    public ReadOnlySpan<float> Values => _values;

    /// <summary>The code of the nearest number.</summary>
    /// <param name="value">From −1 to 1.</param>
    public byte Encode(float value)
    {
        int code = _lookup[BitConverter.SingleToUInt32Bits(value) >> LookupShift];
        while (code + 1 < _values.Length && _values[code + 1] - value < value - _values[code])
        {
            code++;
        }

        while (code > 0 && value - _values[code - 1] < _values[code] - value)
        {
            code--;
        }

        return (byte)code;
    }
}
