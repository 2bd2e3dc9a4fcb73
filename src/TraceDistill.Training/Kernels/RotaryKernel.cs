using System.Runtime.Intrinsics;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Kernels;

/// <summary>
/// Rotary position embedding in the half-split order of transformers: channel c is paired with c + d/2 and rotated by
/// position · θ^(−2c/d) (Su et al., arXiv 2104.09864).
/// </summary>
sealed unsafe class RotaryKernel
{
    readonly int _half;
    readonly int _rotatedHeads;
    readonly int _width;
    readonly float[] _cosine;
    readonly float[] _sine;

    public RotaryKernel(ModelConfiguration configuration)
    {
        _half = configuration.HeadDim / 2;
        _rotatedHeads = configuration.NumAttentionHeads + configuration.NumKeyValueHeads;
        _width = configuration.QuerySize + 2 * configuration.KeyValueSize;
        _cosine = new float[configuration.MaxPositionEmbeddings * _half];
        _sine = new float[_cosine.Length];
        for (var position = 0; position < configuration.MaxPositionEmbeddings; position++)
        {
            for (var c = 0; c < _half; c++)
            {
                var angle = position * Math.Pow(configuration.RopeTheta, -2.0 * c / configuration.HeadDim);
                _cosine[position * _half + c] = (float)Math.Cos(angle);
                _sine[position * _half + c] = (float)Math.Sin(angle);
            }
        }
    }

    /// <summary>Rotates queries and keys in place; <paramref name="inverse"/> rotates back, which is the gradient.</summary>
    /// <param name="qkv">[rows, W]: query heads, key heads, value heads; values are left alone.</param>
    /// <param name="positions">[rows] position of each row in its sequence.</param>
    public void Rotate(float* qkv, ReadOnlySpan<int> positions, bool inverse)
    {
        var sign = inverse ? -1f : 1f;
        fixed (float* cosines = _cosine, sines = _sine)
        {
            for (var row = 0; row < positions.Length; row++)
            {
                float* cosine = cosines + positions[row] * _half, sine = sines + positions[row] * _half;
                var head = qkv + (long)row * _width;
                for (var h = 0; h < _rotatedHeads; h++, head += 2 * _half)
                {
                    RotateHead(head, head + _half, cosine, sine, sign);
                }
            }
        }
    }

    void RotateHead(float* low, float* high, float* cosine, float* sine, float sign)
    {
        var c = 0;
        for (; c <= _half - SimdMath.Lanes; c += SimdMath.Lanes)
        {
            var (x, y) = (Vector512.Load(low + c), Vector512.Load(high + c));
            var (cos, sin) = (Vector512.Load(cosine + c), Vector512.Load(sine + c) * sign);
            (x * cos - y * sin).Store(low + c);
            (y * cos + x * sin).Store(high + c);
        }

        for (; c < _half; c++)
        {
            var (x, y) = (low[c], high[c]);
            var sin = sine[c] * sign;
            low[c] = x * cosine[c] - y * sin;
            high[c] = y * cosine[c] + x * sin;
        }
    }
}
