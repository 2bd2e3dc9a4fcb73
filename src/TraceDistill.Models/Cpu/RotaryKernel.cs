using System.Numerics;
using System.Numerics.Tensors;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// Rotary position embedding in the half-split order of transformers: of the r channels of a
/// head that are rotated, channel c is paired with c + r/2 and rotated by position · angle.
/// </summary>
/// <remarks>
/// Thread-safe. Sines are worked out as far as positions come: a table of all that long contexts allow would take seconds and gigabytes.
/// </remarks>
sealed unsafe class RotaryKernel
{
    const int LeastPositions = 512;

    readonly int _half,
        _headSize;
    readonly int _rotatedHeads;
    readonly int _width;
    readonly RotaryFrequencies _frequencies;
    readonly Lock _growing = new();
    volatile Table _table = new([], []);

    /// <param name="isLocal">As <see cref="RotaryFrequencies.Of"/> has it.</param>
    /// <param name="isLong">Likewise.</param>
    public RotaryKernel(ModelConfiguration configuration, bool isLocal = false, bool isLong = false)
    {
        (_half, _headSize) = (configuration.RotaryDim / 2, configuration.HeadDim);
        _rotatedHeads = configuration.NumAttentionHeads + configuration.NumKeyValueHeads;
        _width = configuration.QuerySize + 2 * configuration.KeyValueSize;
        _frequencies = RotaryFrequencies.Of(configuration, isLocal, isLong);
    }

    /// <summary>Rotates the queries and keys of one row in place.</summary>
    /// <param name="qkv">[W].</param>
    public void Rotate(Span<float> qkv, int position)
    {
        fixed (float* row = qkv)
        {
            Rotate(row, [position], inverse: false);
        }
    }

    /// <summary>Rotates queries and keys in place; <paramref name="inverse"/> rotates back, which is the gradient.</summary>
    /// <param name="qkv">[rows, W]: query heads, key heads, value heads; values are left alone.</param>
    /// <param name="positions">[rows] position of each row in its sequence.</param>
    public void Rotate(float* qkv, ReadOnlySpan<int> positions, bool inverse)
    {
        var sign = inverse ? -1f : 1f;
        var table = TableFor(positions.IsEmpty ? 0 : TensorPrimitives.Max(positions));
        fixed (
            float* cosines = table.Cosine,
                sines = table.Sine
        )
        {
            for (var row = 0; row < positions.Length; row++)
            {
                float* cosine = cosines + ((long)positions[row] * _half),
                    sine = sines + ((long)positions[row] * _half);
                var head = qkv + (long)row * _width;
                for (var h = 0; h < _rotatedHeads; h++, head += _headSize)
                {
                    RotateHead(head, head + _half, cosine, sine, sign);
                }
            }
        }
    }

    Table TableFor(int position)
    {
        if (position < _table.Cosine.Length / _half)
        {
            return _table;
        }

        lock (_growing)
        {
            var (table, known) = (_table, _table.Cosine.Length / _half);
            if (position >= known)
            {
                var count = Math.Max(position + 1, Math.Max(LeastPositions, 2 * known));
                var (cosine, sine) = (new float[checked(count * _half)], new float[checked(count * _half)]);
                table.Cosine.CopyTo(cosine, 0);
                table.Sine.CopyTo(sine, 0);
                for (var p = known; p < count; p++)
                {
                    for (var c = 0; c < _half; c++)
                    {
                        var (sin, cos) = Math.SinCos(p * _frequencies.Angles[c]);
                        cosine[p * _half + c] = (float)(_frequencies.Magnitude * cos);
                        sine[p * _half + c] = (float)(_frequencies.Magnitude * sin);
                    }
                }

                _table = table = new Table(cosine, sine);
            }

            return table;
        }
    }

    void RotateHead(float* low, float* high, float* cosine, float* sine, float sign)
    {
        var c = 0;
        for (; c <= _half - Vector<float>.Count; c += Vector<float>.Count)
        {
            var (x, y) = (Vector.Load(low + c), Vector.Load(high + c));
            var (cos, sin) = (Vector.Load(cosine + c), Vector.Load(sine + c) * sign);
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

    /// <param name="Cosine">[positions, r/2].</param>
    /// <param name="Sine">[positions, r/2].</param>
    sealed record Table(float[] Cosine, float[] Sine);
}
