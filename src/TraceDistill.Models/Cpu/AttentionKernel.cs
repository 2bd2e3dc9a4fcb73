using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Cpu;

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
    readonly bool _isWhole = configuration.HeadDim % SimdMath.Lanes == 0;
    readonly float _scale = 1 / MathF.Sqrt(configuration.HeadDim);
    int _capacity;
    float* _scratch;

    /// <summary>Attends within one sequence of <paramref name="tokens"/> tokens.</summary>
    /// <param name="qkv">[T, W] rotated queries, rotated keys, values.</param>
    /// <param name="output">[T, heads · d], written.</param>
    /// <param name="logSumExp">[T, heads], written: kept for the backward pass.</param>
    /// <param name="tokens">T.</param>
    /// <param name="firstQuery">Results before this token are not wanted and not written.</param>
    public void Forward(float* qkv, float* output, float* logSumExp, int tokens, int firstQuery)
    {
        Reserve(tokens);
        var area = new Areas(_scratch, _capacity, _padded);
        int stride = SimdMath.Pad(_capacity), outWidth = _heads * _d;
        for (var head = 0; head < _heads; head++)
        {
            if (head % (_heads / _keyHeads) == 0)
            {
                var keyHead = head / (_heads / _keyHeads);
                PackTransposed(qkv + (_heads + keyHead) * _d, area.KeysTransposed, stride, tokens, _scale);
                Pack(qkv + (_heads + _keyHeads + keyHead) * _d, _width, area.Values, tokens, 1);
            }

            var queries = Whole(qkv + head * _d, _width, area.Queries, tokens);
            var results = _isWhole ? new Operand(output + head * _d, outWidth) : new Operand(area.Output, _padded);
            for (var first = firstQuery; first < tokens; first += BlockRows)
            {
                int rows = Math.Min(BlockRows, tokens - first), keys = first + rows, keysPadded = SimdMath.Pad(keys);
                MatrixKernel.Multiply(
                    queries.At(first), queries.Row, 1, area.KeysTransposed, stride, area.Scores, stride, rows, keysPadded, _padded, false);
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

                var block = _isWhole ? results.At(first) : results.Pointer;
                MatrixKernel.Multiply(area.Scores, stride, 1, area.Values, _padded, block, results.Row, rows, _padded, keys, false);
                for (var row = 0; row < rows; row++)
                {
                    SimdMath.Scale(block + (long)row * results.Row, area.RowFactors[row], output + (long)(first + row) * outWidth + head * _d, _d);
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
    /// <param name="firstQuery">As given to the forward pass.</param>
    public void Backward(float* qkv, float* output, float* logSumExp, float* outputGradient, float* qkvGradient, int tokens, int firstQuery)
    {
        Reserve(tokens);
        var area = new Areas(_scratch, _capacity, _padded);
        int stride = SimdMath.Pad(_capacity), outWidth = _heads * _d, group = _heads / _keyHeads;
        for (var head = 0; head < _heads; head++)
        {
            var keyHead = head / group;
            if (head % group == 0)
            {
                PackTransposed(qkv + (_heads + keyHead) * _d, area.KeysTransposed, stride, tokens, _scale);
                Pack(qkv + (_heads + keyHead) * _d, _width, area.Keys, tokens, _scale);
                PackTransposed(qkv + (_heads + _keyHeads + keyHead) * _d, area.ValuesTransposed, stride, tokens, 1);
                new Span<float>(area.KeyGradients, tokens * _padded).Clear();
                new Span<float>(area.ValueGradients, tokens * _padded).Clear();
            }

            var queries = Whole(qkv + head * _d, _width, area.Queries, tokens);
            var gradients = Whole(outputGradient + head * _d, outWidth, area.OutputGradients, tokens);
            var results = _isWhole ? new Operand(qkvGradient + head * _d, _width) : new Operand(area.Output, _padded);
            for (var row = 0; row < firstQuery; row++)
            {
                new Span<float>(qkvGradient + (long)row * _width + head * _d, _d).Clear();
            }

            for (var first = firstQuery; first < tokens; first += BlockRows)
            {
                int rows = Math.Min(BlockRows, tokens - first), keys = first + rows, keysPadded = SimdMath.Pad(keys);
                MatrixKernel.Multiply(queries.At(first), queries.Row, 1, area.KeysTransposed, stride, area.Scores, stride, rows, keysPadded, _padded, false);
                MatrixKernel.Multiply(gradients.At(first), gradients.Row, 1, area.ValuesTransposed, stride, area.ScoreGradients, stride, rows, keysPadded, _padded, false);
                for (var row = 0; row < rows; row++)
                {
                    var at = (long)(first + row) * outWidth + head * _d;
                    var dot = SimdMath.Dot(outputGradient + at, output + at, _d);
                    SoftmaxGradient(
                        area.Scores + row * stride, area.ScoreGradients + row * stride, logSumExp[(first + row) * _heads + head], dot, first + row + 1, keysPadded);
                }

                MatrixKernel.Multiply(area.Scores, 1, stride, gradients.At(first), gradients.Row, area.ValueGradients, _padded, keys, _padded, rows, true);
                MatrixKernel.Multiply(area.ScoreGradients, 1, stride, queries.At(first), queries.Row, area.KeyGradients, _padded, keys, _padded, rows, true);
                var block = _isWhole ? results.At(first) : results.Pointer;
                MatrixKernel.Multiply(area.ScoreGradients, stride, 1, area.Keys, _padded, block, results.Row, rows, _padded, keys, false);
                if (!_isWhole)
                {
                    Unpack(block, qkvGradient + (long)first * _width + head * _d, rows, 1);
                }
            }

            if (head % group == group - 1)
            {
                Unpack(area.KeyGradients, qkvGradient + (_heads + keyHead) * _d, tokens, _scale);
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
        var (lse, shift) = (Vector.Create(logSumExp), Vector.Create(dot));
        for (var j = 0; j < padded; j += Vector<float>.Count)
        {
            var p = SimdMath.Exp(Vector.Load(scores + j) - lse);
            p.Store(scores + j);
            (p * (Vector.Load(gradients + j) - shift)).Store(gradients + j);
        }

        new Span<float>(scores + seen, padded - seen).Clear();
        new Span<float>(gradients + seen, padded - seen).Clear();
    }

    /// <summary>A head's channels in whole vectors: where they lie if they fill them, else copied to <paramref name="packed"/>.</summary>
    Operand Whole(float* source, int sourceRow, float* packed, int tokens)
    {
        if (_isWhole)
        {
            return new Operand(source, sourceRow);
        }

        Pack(source, sourceRow, packed, tokens, 1);
        return new Operand(packed, _padded);
    }

    void Pack(float* source, int sourceRow, float* destination, int tokens, float scale)
    {
        for (var t = 0; t < tokens; t++, source += sourceRow, destination += _padded)
        {
            SimdMath.Scale(source, scale, destination, _d);
            new Span<float>(destination + _d, _padded - _d).Clear();
        }
    }

    void PackTransposed(float* source, float* destination, int stride, int tokens, float scale)
    {
        SimdMath.Transpose(source, _width, destination, stride, tokens, _d, scale);
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
            SimdMath.Scale(source, scale, destination, _d);
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

    /// <summary>A matrix of one row a token.</summary>
    readonly struct Operand(float* pointer, int row)
    {
        public float* Pointer => pointer;

        /// <summary>Floats from one row to the next.</summary>
        public int Row => row;

        public float* At(int token) => pointer + (long)token * row;
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
