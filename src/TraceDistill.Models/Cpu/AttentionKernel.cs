using System.Collections.Concurrent;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Cpu;

// T = tokens of one sequence, d = channels of a head (padded to P), B = rows of one query block, W = width of a row of q, k and v together

/// <summary>
/// Causal grouped-query attention over sequences that lie one after another in a flat batch, without padding
/// and without a T × T matrix: query blocks of B rows against all earlier keys, scores recomputed in the
/// backward pass from the saved log-sum-exp (Dao et al., FlashAttention, arXiv 2205.14135, equations of
/// section 3 and appendix B). With a window, blocks begin at the first key that one of their queries sees.
/// </summary>
/// <remarks>
/// Heads that share keys are one piece of work. Thread-safe: each thread within
/// it has scratch memory of its own, which grows with the longest sequence.
/// </remarks>
/// <param name="configuration">Has the heads, the scale of scores and their cap.</param>
/// <param name="window">The tokens that a query sees, itself included; null for all before it.</param>
sealed unsafe class AttentionKernel(ModelConfiguration configuration, int? window = null) : IDisposable
{
    const int BlockRows = 4 * MatrixKernel.Rows;
    readonly int _heads = configuration.NumAttentionHeads;
    readonly int _keyHeads = configuration.NumKeyValueHeads;
    readonly int _d = configuration.HeadDim;
    readonly int _padded = SimdMath.Pad(configuration.HeadDim);
    readonly int _width = configuration.QuerySize + 2 * configuration.KeyValueSize;
    readonly bool _isWhole = configuration.HeadDim % SimdMath.Lanes == 0;
    readonly float _scale = (float)configuration.AttentionScale;
    readonly float _cap = (float)(configuration.AttentionSoftCap ?? 0);
    readonly int _window = window ?? int.MaxValue;
    readonly ConcurrentBag<Scratch> _scratches = [];

    /// <summary>Attends within one sequence of <paramref name="tokens"/> tokens, for the queries of one key head.</summary>
    /// <param name="keyHead">From 0.</param>
    /// <param name="qkv">[T, W] rotated queries, rotated keys, values.</param>
    /// <param name="output">[T, heads · d], written.</param>
    /// <param name="logSumExp">[T, heads], written: kept for the backward pass.</param>
    /// <param name="tokens">T.</param>
    /// <param name="firstQuery">Results before this token are not wanted and not written.</param>
    public void Forward(int keyHead, float* qkv, float* output, float* logSumExp, int tokens, int firstQuery)
    {
        using var scratch = Rent(tokens);
        var area = scratch.Areas;
        int stride = area.Stride,
            outWidth = _heads * _d,
            group = _heads / _keyHeads;
        PackTransposed(qkv + (_heads + keyHead) * _d, area.KeysTransposed, stride, tokens, _scale);
        Pack(qkv + (_heads + _keyHeads + keyHead) * _d, _width, area.Values, tokens, 1);
        for (var head = keyHead * group; head < (keyHead + 1) * group; head++)
        {
            var queries = Whole(qkv + head * _d, _width, area.Queries, tokens);
            var results = _isWhole ? new Operand(output + head * _d, outWidth) : new Operand(area.Output, _padded);
            for (var first = firstQuery; first < tokens; first += BlockRows)
            {
                int rows = Math.Min(BlockRows, tokens - first),
                    start = BlockStart(first),
                    keys = first + rows - start,
                    keysPadded = SimdMath.Pad(keys);
                MatrixKernel.Multiply(
                    queries.At(first),
                    queries.Row,
                    1,
                    area.KeysTransposed + start,
                    stride,
                    area.Scores,
                    stride,
                    rows,
                    keysPadded,
                    _padded,
                    false
                );
                for (var row = 0; row < rows; row++)
                {
                    int from = FirstKey(first + row) - start,
                        seen = first + row + 1 - start;
                    var scores = area.Scores + row * stride;
                    if (_cap > 0)
                    {
                        SimdMath.SoftCap(scores, keysPadded, _cap);
                    }

                    var maximum = TensorPrimitives.Max(new ReadOnlySpan<float>(scores + from, seen - from));
                    var sum = SimdMath.ExpShifted(scores + from, seen - from, maximum);
                    new Span<float>(scores, from).Clear();
                    new Span<float>(scores + seen, keysPadded - seen).Clear();
                    logSumExp[(first + row) * _heads + head] = maximum + MathF.Log(sum);
                    area.RowFactors[row] = 1 / sum;
                }

                var block = _isWhole ? results.At(first) : results.Pointer;
                MatrixKernel.Multiply(
                    area.Scores,
                    stride,
                    1,
                    area.Values + (long)start * _padded,
                    _padded,
                    block,
                    results.Row,
                    rows,
                    _padded,
                    keys,
                    false
                );
                for (var row = 0; row < rows; row++)
                {
                    SimdMath.Scale(
                        block + (long)row * results.Row,
                        area.RowFactors[row],
                        output + (long)(first + row) * outWidth + head * _d,
                        _d
                    );
                }
            }
        }
    }

    /// <summary>The gradient of <see cref="Forward"/>.</summary>
    /// <param name="keyHead">From 0.</param>
    /// <param name="qkv">[T, W] as given to the forward pass.</param>
    /// <param name="output">[T, heads · d] as the forward pass wrote it.</param>
    /// <param name="logSumExp">[T, heads] likewise.</param>
    /// <param name="outputGradient">[T, heads · d].</param>
    /// <param name="qkvGradient">[T, W], written.</param>
    /// <param name="tokens">T.</param>
    /// <param name="firstQuery">As given to the forward pass.</param>
    public void Backward(
        int keyHead,
        float* qkv,
        float* output,
        float* logSumExp,
        float* outputGradient,
        float* qkvGradient,
        int tokens,
        int firstQuery
    )
    {
        using var scratch = Rent(tokens);
        var area = scratch.Areas;
        int stride = area.Stride,
            outWidth = _heads * _d,
            group = _heads / _keyHeads;
        PackTransposed(qkv + (_heads + keyHead) * _d, area.KeysTransposed, stride, tokens, _scale);
        Pack(qkv + (_heads + keyHead) * _d, _width, area.Keys, tokens, _scale);
        PackTransposed(qkv + (_heads + _keyHeads + keyHead) * _d, area.ValuesTransposed, stride, tokens, 1);
        new Span<float>(area.KeyGradients, tokens * _padded).Clear();
        new Span<float>(area.ValueGradients, tokens * _padded).Clear();
        for (var head = keyHead * group; head < (keyHead + 1) * group; head++)
        {
            var queries = Whole(qkv + head * _d, _width, area.Queries, tokens);
            var gradients = Whole(outputGradient + head * _d, outWidth, area.OutputGradients, tokens);
            var results = _isWhole ? new Operand(qkvGradient + head * _d, _width) : new Operand(area.Output, _padded);
            for (var row = 0; row < firstQuery; row++)
            {
                new Span<float>(qkvGradient + (long)row * _width + head * _d, _d).Clear();
            }

            for (var first = firstQuery; first < tokens; first += BlockRows)
            {
                int rows = Math.Min(BlockRows, tokens - first),
                    start = BlockStart(first),
                    keys = first + rows - start,
                    keysPadded = SimdMath.Pad(keys);
                var before = (long)start * _padded;
                MatrixKernel.Multiply(
                    queries.At(first),
                    queries.Row,
                    1,
                    area.KeysTransposed + start,
                    stride,
                    area.Scores,
                    stride,
                    rows,
                    keysPadded,
                    _padded,
                    false
                );
                MatrixKernel.Multiply(
                    gradients.At(first),
                    gradients.Row,
                    1,
                    area.ValuesTransposed + start,
                    stride,
                    area.ScoreGradients,
                    stride,
                    rows,
                    keysPadded,
                    _padded,
                    false
                );
                for (var row = 0; row < rows; row++)
                {
                    var at = (long)(first + row) * outWidth + head * _d;
                    var dot = SimdMath.Dot(outputGradient + at, output + at, _d);
                    SoftmaxGradient(
                        area.Scores + row * stride,
                        area.ScoreGradients + row * stride,
                        logSumExp[(first + row) * _heads + head],
                        dot,
                        FirstKey(first + row) - start,
                        first + row + 1 - start,
                        keysPadded
                    );
                }

                MatrixKernel.Multiply(
                    area.Scores,
                    1,
                    stride,
                    gradients.At(first),
                    gradients.Row,
                    area.ValueGradients + before,
                    _padded,
                    keys,
                    _padded,
                    rows,
                    true
                );
                MatrixKernel.Multiply(
                    area.ScoreGradients,
                    1,
                    stride,
                    queries.At(first),
                    queries.Row,
                    area.KeyGradients + before,
                    _padded,
                    keys,
                    _padded,
                    rows,
                    true
                );
                var block = _isWhole ? results.At(first) : results.Pointer;
                MatrixKernel.Multiply(
                    area.ScoreGradients,
                    stride,
                    1,
                    area.Keys + before,
                    _padded,
                    block,
                    results.Row,
                    rows,
                    _padded,
                    keys,
                    false
                );
                if (!_isWhole)
                {
                    Unpack(block, qkvGradient + (long)first * _width + head * _d, rows, 1);
                }
            }
        }

        Unpack(area.KeyGradients, qkvGradient + (_heads + keyHead) * _d, tokens, _scale);
        Unpack(area.ValueGradients, qkvGradient + (_heads + _keyHeads + keyHead) * _d, tokens, 1);
    }

    public void Dispose()
    {
        while (_scratches.TryTake(out var scratch))
        {
            scratch.Free();
        }
    }

    /// <summary>The first key that a query sees.</summary>
    int FirstKey(int query) => Math.Max(0, query - _window + 1);

    /// <summary>The first key of a block of queries, at a multiple of the vectors that columns are padded to.</summary>
    int BlockStart(int first) => FirstKey(first) / SimdMath.Lanes * SimdMath.Lanes;

    /// <summary>
    /// scores ← p = exp(score − lse); gradients ← p · (gradient − dot), by the scores before
    /// their cap; both zero before <paramref name="from"/> and past <paramref name="seen"/>.
    /// </summary>
    void SoftmaxGradient(float* scores, float* gradients, float logSumExp, float dot, int from, int seen, int padded)
    {
        var (lse, shift) = (Vector.Create(logSumExp), Vector.Create(dot));
        for (var j = 0; j < padded; j += Vector<float>.Count)
        {
            var (score, slope) = (Vector.Load(scores + j), Vector<float>.One);
            if (_cap > 0)
            {
                var share = SimdMath.Tanh(score / _cap);
                (score, slope) = (share * _cap, Vector<float>.One - share * share);
            }

            var p = SimdMath.Exp(score - lse);
            p.Store(scores + j);
            (p * (Vector.Load(gradients + j) - shift) * slope).Store(gradients + j);
        }

        new Span<float>(scores, from).Clear();
        new Span<float>(gradients, from).Clear();
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

    Scratch Rent(int tokens)
    {
        if (!_scratches.TryTake(out var scratch))
        {
            scratch = new Scratch(this);
        }

        scratch.Reserve(tokens);
        return scratch;
    }

    /// <summary>Memory for one thread at a time; disposing gives it back to the kernel.</summary>
    sealed class Scratch(AttentionKernel kernel) : IDisposable
    {
        int _capacity;
        float* _memory;

        public Areas Areas => new(_memory, _capacity, kernel._padded);

        public void Reserve(int tokens)
        {
            if (tokens > _capacity)
            {
                Free();
                _memory = (float*)NativeMemory.AlignedAlloc((nuint)(Areas.Size(tokens, kernel._padded) * sizeof(float)), 64);
                _capacity = tokens;
            }
        }

        public void Free()
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
            _capacity = 0;
        }

        public void Dispose() => kernel._scratches.Add(this);
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

        /// <summary>Floats of a row of scores, and of transposed keys or values.</summary>
        public int Stride => SimdMath.Pad(capacity);

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
