using System.Runtime.Intrinsics;

namespace TraceDistill.Training.Generation.Kernels;

/// <summary>Rotary position embedding (Su et al. 2021, arXiv 2104.09864) in transformers' order: channel i is paired with i + head/2.</summary>
sealed class RotaryTable
{
    readonly int _half;
    readonly float[] _cos, _sin;

    /// <param name="positions">Positions the table covers.</param>
    /// <param name="headSize">Channels of a head.</param>
    /// <param name="theta">Base of the wavelengths: angle = position · theta^(−2i / head).</param>
    public RotaryTable(int positions, int headSize, double theta)
    {
        _half = headSize / 2;
        _cos = new float[positions * _half];
        _sin = new float[positions * _half];
        for (var position = 0; position < positions; position++)
        {
            for (var i = 0; i < _half; i++)
            {
                (var sin, var cos) = Math.SinCos(position * Math.Pow(theta, -2.0 * i / headSize));
                _cos[position * _half + i] = (float)cos;
                _sin[position * _half + i] = (float)sin;
            }
        }
    }

    /// <summary>Rotates one head in place.</summary>
    /// <param name="head">[headSize]</param>
    public void Rotate(Span<float> head, int position)
    {
        ReadOnlySpan<float> cos = _cos.AsSpan(position * _half, _half), sin = _sin.AsSpan(position * _half, _half);
        Span<float> low = head[.._half], high = head[_half..];
        var i = 0;
        for (; i + Vector128<float>.Count <= _half; i += Vector128<float>.Count)
        {
            Vector128<float> x = Vector128.Create(low[i..]), y = Vector128.Create(high[i..]), c = Vector128.Create(cos[i..]), s = Vector128.Create(sin[i..]);
            (x * c - y * s).CopyTo(low[i..]);
            (y * c + x * s).CopyTo(high[i..]);
        }

        for (; i < _half; i++)
        {
            (low[i], high[i]) = (low[i] * cos[i] - high[i] * sin[i], high[i] * cos[i] + low[i] * sin[i]);
        }
    }
}
