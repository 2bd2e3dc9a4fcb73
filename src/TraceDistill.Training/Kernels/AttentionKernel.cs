using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Kernels;

// T = tokens of one sequence, d = channels of a head (padded to P), B = rows of one query block, W = width of a row of q, k and v together

/// <summary>
/// Causal grouped-query attention over sequences that lie one after another in a flat batch, without padding and without a T × T matrix:
/// query blocks of B rows against all earlier keys, scores recomputed in the backward pass from the saved log-sum-exp (Dao et al.,
/// FlashAttention, arXiv 2205.14135, equations of section 3 and appendix B).
/// </summary>
/// <remarks>Holds scratch memory that grows with the longest sequence; one object serves one thread.</remarks>
sealed unsafe class AttentionKernel(ModelConfiguration configuration) : IDisposable
{
    const int BlockRows = 32;
    readonly int _heads = configuration.NumAttentionHeads;
    readonly int _keyHeads = configuration.NumKeyValueHeads;
    readonly int _d = configuration.HeadDim;
    readonly int _padded = SimdMath.Pad(configuration.HeadDim);
    readonly int _width = configuration.QuerySize + 2 * configuration.KeyValueSize;
    readonly float _scale = 1 / MathF.Sqrt(configuration.HeadDim);
    int _capacity;
    float* _scratch;

    /// <summary>Attends within one sequence of <paramref name="tokens"/> tokens.</summary>
    /// <param name="qkv">[T, W] rotated queries, rotated keys, values.</param>
    /// <param name="output">[T, heads · d], written.</param>
    /// <param name="logSumExp">[T, heads], written: kept for the backward pass.</param>
    /// <param name="tokens">T.</param>
    public void Forward(float* qkv, float* output, float* logSumExp, int tokens)
    {
        Reserve(tokens);
        var area = new Areas(_scratch, _capacity, _padded);
        int stride = SimdMath.Pad(_capacity), outWidth = _heads * _d;
        for (var head = 0; head < _heads; head++)
        {
            if (head % (_heads / _keyHeads) == 0)
            {
                var keyHead = head / (_heads / _keyHeads);
                PackTransposed(qkv + (_heads + keyHead) * _d, area.KeysTransposed, stride, tokens);
                Pack(qkv + (_heads + _keyHeads + keyHead) * _d, _width, area.Values, tokens, 1);
            }

            Pack(qkv + head * _d, _width, area.Queries, tokens, _scale);
            for (var first = 0; first < tokens; first += BlockRows)
            {
                int rows = Math.Min(BlockRows, tokens - first), keys = first + rows, keysPadded = SimdMath.Pad(keys);
                MatrixKernel.Multiply(
                    area.Queries + first * _padded, _padded, 1, area.KeysTransposed, stride, area.Scores, stride, rows, keysPadded, _padded, false);
                for (var row = 0; row < rows; row++)
                {
                    var seen = first + row + 1;
                    var scores = area.Scores + row * stride;
                    var maximum = TensorPrimitives.Max(new ReadOnlySpan<float>(scores, seen));
                    var sum = SimdMath.ExpShifted(scores, seen, maximum);
                    new Span<float>(scores + seen, keysPadded - seen).Clear();
                    logSumExp[(first + row) * _heads + head] = maximum + MathF.Log(sum);
                    area.RowFactors[row] = 1 / sum;
                }

                MatrixKernel.Multiply(area.Scores, stride, 1, area.Values, _padded, area.Output, _padded, rows, _padded, keys, false);
                for (var row = 0; row < rows; row++)
                {
                    TensorPrimitives.Multiply(
                        new ReadOnlySpan<float>(area.Output + row * _padded, _d), area.RowFactors[row],
                        new Span<float>(output + (long)(first + row) * outWidth + head * _d, _d));
                }
            }
        }
    }

    /// <summary>The gradient of <see cref="Forward"/> for one sequence.</summary>
    /// <param name="qkv">[T, W] as given to the forward pass.</param>
    /// <param name="output">[T, heads · d] as the forward pass wrote it.</param>
    /// <param name="logSumExp">[T, heads] likewise.</param>
    /// <param name="outputGradient">[T, heads · d].</param>
    /// <param name="qkvGradient">[T, W], written.</param>
    /// <param name="tokens">T.</param>
    public void Backward(float* qkv, float* output, float* logSumExp, float* outputGradient, float* qkvGradient, int tokens)
    {
        Reserve(tokens);
        var area = new Areas(_scratch, _capacity, _padded);
        int stride = SimdMath.Pad(_capacity), outWidth = _heads * _d, group = _heads / _keyHeads;
        for (var head = 0; head < _heads; head++)
        {
            var keyHead = head / group;
            if (head % group == 0)
            {
                PackTransposed(qkv + (_heads + keyHead) * _d, area.KeysTransposed, stride, tokens);
                Pack(qkv + (_heads + keyHead) * _d, _width, area.Keys, tokens, 1);
                PackTransposed(qkv + (_heads + _keyHeads + keyHead) * _d, area.ValuesTransposed, stride, tokens);
                new Span<float>(area.KeyGradients, tokens * _padded).Clear();
                new Span<float>(area.ValueGradients, tokens * _padded).Clear();
            }

            Pack(qkv + head * _d, _width, area.Queries, tokens, _scale);
            Pack(outputGradient + head * _d, outWidth, area.OutputGradients, tokens, 1);
            for (var first = 0; first < tokens; first += BlockRows)
            {
                int rows = Math.Min(BlockRows, tokens - first), keys = first + rows, keysPadded = SimdMath.Pad(keys);
                float* queries = area.Queries + first * _padded, gradients = area.OutputGradients + first * _padded;
                MatrixKernel.Multiply(queries, _padded, 1, area.KeysTransposed, stride, area.Scores, stride, rows, keysPadded, _padded, false);
                MatrixKernel.Multiply(gradients, _padded, 1, area.ValuesTransposed, stride, area.ScoreGradients, stride, rows, keysPadded, _padded, false);
                for (var row = 0; row < rows; row++)
                {
                    var at = (long)(first + row) * outWidth + head * _d;
                    var dot = TensorPrimitives.Dot(new ReadOnlySpan<float>(outputGradient + at, _d), new ReadOnlySpan<float>(output + at, _d));
                    SoftmaxGradient(
                        area.Scores + row * stride, area.ScoreGradients + row * stride, logSumExp[(first + row) * _heads + head], dot, first + row + 1, keysPadded);
                }

                MatrixKernel.Multiply(area.Scores, 1, stride, gradients, _padded, area.ValueGradients, _padded, keys, _padded, rows, true);
                MatrixKernel.Multiply(area.ScoreGradients, 1, stride, queries, _padded, area.KeyGradients, _padded, keys, _padded, rows, true);
                MatrixKernel.Multiply(area.ScoreGradients, stride, 1, area.Keys, _padded, area.Output, _padded, rows, _padded, keys, false);
                Unpack(area.Output, qkvGradient + (long)first * _width + head * _d, rows, _scale);
            }

            if (head % group == group - 1)
            {
                Unpack(area.KeyGradients, qkvGradient + (_heads + keyHead) * _d, tokens, 1);
                Unpack(area.ValueGradients, qkvGradient + (_heads + _keyHeads + keyHead) * _d, tokens, 1);
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_scratch);
        _scratch = null;
        _capacity = 0;
    }

    /// <summary>scores ← p = exp(score − lse); gradients ← p · (gradient − dot); both zero past <paramref name="seen"/>.</summary>
    static void SoftmaxGradient(float* scores, float* gradients, float logSumExp, float dot, int seen, int padded)
    {
        var (lse, shift) = (Vector512.Create(logSumExp), Vector512.Create(dot));
        for (var j = 0; j < padded; j += SimdMath.Lanes)
        {
            var p = SimdMath.Exp(Vector512.Load(scores + j) - lse);
            p.Store(scores + j);
            (p * (Vector512.Load(gradients + j) - shift)).Store(gradients + j);
        }

        new Span<float>(scores + seen, padded - seen).Clear();
        new Span<float>(gradients + seen, padded - seen).Clear();
    }

    void Pack(float* source, int sourceRow, float* destination, int tokens, float scale)
    {
        for (var t = 0; t < tokens; t++, source += sourceRow, destination += _padded)
        {
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(source, _d), scale, new Span<float>(destination, _d));
            new Span<float>(destination + _d, _padded - _d).Clear();
        }
    }

    void PackTransposed(float* source, float* destination, int stride, int tokens)
    {
        for (var t = 0; t < tokens; t++, source += _width)
        {
            for (var c = 0; c < _d; c++)
            {
                destination[c * stride + t] = source[c];
            }
        }

        for (var c = 0; c < _padded; c++)
        {
            var from = c < _d ? tokens : 0;
            new Span<float>(destination + c * stride + from, SimdMath.Pad(tokens) - from).Clear();
        }
    }

    void Unpack(float* source, float* destination, int tokens, float scale)
    {
        for (var t = 0; t < tokens; t++, source += _padded, destination += _width)
        {
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(source, _d), scale, new Span<float>(destination, _d));
        }
    }

    void Reserve(int tokens)
    {
        if (tokens > _capacity)
        {
            Dispose();
            _scratch = (float*)NativeMemory.AlignedAlloc((nuint)(Areas.Size(tokens, _padded) * sizeof(float)), 64);
            _capacity = tokens;
        }
    }

    /// <summary>Where each packed operand lies in the scratch memory.</summary>
    readonly struct Areas(float* start, int capacity, int padded)
    {
        readonly long _matrix = (long)SimdMath.Pad(capacity) * padded;

        public float* Queries => start;

        public float* Keys => start + _matrix;

        public float* KeysTransposed => start + 2 * _matrix;

        public float* Values => start + 3 * _matrix;

        public float* ValuesTransposed => start + 4 * _matrix;

        public float* OutputGradients => start + 5 * _matrix;

        public float* KeyGradients => start + 6 * _matrix;

        public float* ValueGradients => start + 7 * _matrix;

        public float* Scores => start + 8 * _matrix;

        public float* ScoreGradients => Scores + BlockRows * SimdMath.Pad(capacity);

        public float* Output => ScoreGradients + BlockRows * SimdMath.Pad(capacity);

        public float* RowFactors => Output + BlockRows * padded;

        public static long Size(int capacity, int padded) =>
            8L * SimdMath.Pad(capacity) * padded + 2L * BlockRows * SimdMath.Pad(capacity) + BlockRows * padded + BlockRows;
    }
}
