using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference.Kernels;

/// <summary>
/// Attention of one position over the pages of its sequence's cache: softmax(q · Kᵀ /
/// √channels) · V for the query heads that share a key/value head.
/// </summary>
/// <remarks>
/// What it costs is the cache's way through memory, so two query heads are worked on at a time and read each page
/// once. Positions are taken in order and one row at a time: the result does not depend on what else is in the batch.
/// </remarks>
sealed unsafe class PagedAttention : IDisposable
{
    const int Lanes = PagePool.PageTokens;

    readonly KeyValueCache _cache;
    readonly int _headSize;
    readonly long _longest;
    readonly float _scale,
        _cap;
    readonly NativeBuffer _weights,
        _sums;

    /// <param name="configuration">
    /// Has the heads, the scale of scores and their cap; of the positions that it claims a sequence never has more than the cache holds.
    /// </param>
    public PagedAttention(KeyValueCache cache, ModelConfiguration configuration)
    {
        (_cache, _headSize) = (cache, configuration.HeadDim);
        (_scale, _cap) = ((float)configuration.AttentionScale, (float)(configuration.AttentionSoftCap ?? 0));
        _longest = (long)Math.Min(PagePool.PagesFor(configuration.MaxPositionEmbeddings), cache.PageCount) * PagePool.PageTokens;
        _weights = new NativeBuffer(2 * _longest);
        _sums = new NativeBuffer(2 * cache.ValueStride);
    }

    /// <param name="queries">[heads × headSize]</param>
    /// <param name="heads">Query heads that share the key/value head.</param>
    /// <param name="pages">The sequence's pages.</param>
    /// <param name="first">The first position to attend to.</param>
    /// <param name="count">The position after the last one.</param>
    /// <param name="output">[heads × headSize]</param>
    public void Attend(
        ReadOnlySpan<float> queries,
        int heads,
        ReadOnlySpan<int> pages,
        int first,
        int count,
        int layer,
        int keyValueHead,
        Span<float> output
    )
    {
        fixed (float* vectors = queries)
        {
            for (var head = 0; head < heads; head += 2)
            {
                var second = int.Min(head + 1, heads - 1); // An odd last head goes with itself.
                var (total1, total2) = AttendPair(
                    vectors + head * _headSize,
                    vectors + second * _headSize,
                    pages,
                    first,
                    count,
                    layer,
                    keyValueHead
                );
                TensorPrimitives.Multiply(_sums.Span[.._headSize], 1 / total1, output.Slice(head * _headSize, _headSize));
                TensorPrimitives.Multiply(
                    _sums.Span.Slice(_cache.ValueStride, _headSize),
                    1 / total2,
                    output.Slice(second * _headSize, _headSize)
                );
            }
        }
    }

    public void Dispose()
    {
        _weights.Dispose();
        _sums.Dispose();
    }

    /// <summary>Leaves Σ exp(score) · value of both heads in <see cref="_sums"/>.</summary>
    /// <returns>Σ exp(score) of both, to divide by.</returns>
    (float First, float Second) AttendPair(
        float* first,
        float* second,
        ReadOnlySpan<int> pages,
        int from,
        int count,
        int layer,
        int keyValueHead
    )
    {
        float* weights1 = _weights.Pointer,
            weights2 = weights1 + _longest;
        var begin = from / PagePool.PageTokens * PagePool.PageTokens;
        for (var start = begin; start < count; start += PagePool.PageTokens)
        {
            Score(first, second, _cache.Keys(pages[start / PagePool.PageTokens], layer, keyValueHead), weights1 + start, weights2 + start);
        }

        // What a window leaves out of its first page weighs nothing.
        new Span<float>(weights1 + begin, from - begin).Fill(float.NegativeInfinity);
        new Span<float>(weights2 + begin, from - begin).Fill(float.NegativeInfinity);
        var totals = (Exponentiate(weights1 + begin, count - begin), Exponentiate(weights2 + begin, count - begin));
        _sums.Clear();
        for (var start = begin; start < count; start += PagePool.PageTokens)
        {
            var values = _cache.Values(pages[start / PagePool.PageTokens], layer, keyValueHead);
            AddWeighted(weights1 + start, weights2 + start, values, int.Min(PagePool.PageTokens, count - start));
        }

        return totals;
    }

    /// <summary>q · k for the 16 positions of a page; lanes past the sequence's end hold whatever the page held.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score(float* first, float* second, float* keys, float* scores1, float* scores2)
    {
        Vector512<float> even1 = default,
            odd1 = default,
            even2 = default,
            odd2 = default;
        nint channels = _headSize;
        for (nint i = 0; i < channels; i += 2, keys += 2 * Lanes)
        {
            var (even, odd) = (Vector512.LoadAligned(keys), Vector512.LoadAligned(keys + Lanes));
            even1 = SimdMath.MultiplyAdd(Vector512.Create(first[i]), even, even1);
            even2 = SimdMath.MultiplyAdd(Vector512.Create(second[i]), even, even2);
            odd1 = SimdMath.MultiplyAdd(Vector512.Create(first[i + 1]), odd, odd1);
            odd2 = SimdMath.MultiplyAdd(Vector512.Create(second[i + 1]), odd, odd2);
        }

        ((even1 + odd1) * _scale).StoreAligned(scores1);
        ((even2 + odd2) * _scale).StoreAligned(scores2);
        if (_cap > 0)
        {
            SimdMath.SoftCap(scores1, Lanes, _cap);
            SimdMath.SoftCap(scores2, Lanes, _cap);
        }
    }

    static float Exponentiate(float* scores, int count) =>
        SimdMath.ExpShifted(scores, count, TensorPrimitives.Max(new ReadOnlySpan<float>(scores, count)));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AddWeighted(float* weights1, float* weights2, float* values, int count)
    {
        nint stride = _cache.ValueStride;
        for (nint channel = 0; channel < stride; channel += 2 * Lanes)
        {
            // Two vectors of channels for two heads: four independent chains. An odd last vector goes with itself.
            var next = channel + Lanes < stride ? channel + Lanes : channel;
            float* sum1 = _sums.Pointer,
                sum2 = sum1 + stride;
            Vector512<float> a1 = Vector512.LoadAligned(sum1 + channel),
                b1 = Vector512.LoadAligned(sum1 + next);
            Vector512<float> a2 = Vector512.LoadAligned(sum2 + channel),
                b2 = Vector512.LoadAligned(sum2 + next);
            var row = values;
            for (nint i = 0; i < count; i++, row += stride)
            {
                var (a, b) = (Vector512.LoadAligned(row + channel), Vector512.LoadAligned(row + next));
                var (weight1, weight2) = (Vector512.Create(weights1[i]), Vector512.Create(weights2[i]));
                a1 = SimdMath.MultiplyAdd(weight1, a, a1);
                b1 = SimdMath.MultiplyAdd(weight1, b, b1);
                a2 = SimdMath.MultiplyAdd(weight2, a, a2);
                b2 = SimdMath.MultiplyAdd(weight2, b, b2);
            }

            a1.StoreAligned(sum1 + channel);
            b1.StoreAligned(sum1 + next);
            a2.StoreAligned(sum2 + channel);
            b2.StoreAligned(sum2 + next);
        }
    }
}
