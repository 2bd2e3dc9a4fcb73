using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TraceDistill.Training.Generation.Kernels;

/// <summary>Attention of one query over the pages of one sequence's cache: softmax(q · Kᵀ) · V for one head. Scaling is the caller's.</summary>
/// <remarks>One query at a time, in the order of positions: the result does not depend on what else is in the batch.</remarks>
sealed unsafe class AttentionKernel(KeyValueCache cache, int headSize, int longest) : IDisposable
{
    /// <summary>Floats in a vector.</summary>
    public const int Lanes = 16;

    readonly NativeBuffer _weights = new(KeyValueCache.PagesFor(longest) * KeyValueCache.PageTokens);
    readonly NativeBuffer _sum = new(cache.ValueStride);

    /// <param name="query">[headSize], already multiplied by 1/√headSize.</param>
    /// <param name="pages">The sequence's pages.</param>
    /// <param name="count">Positions to attend to, from the first one.</param>
    /// <param name="output">[headSize]</param>
    public void Attend(float* query, ReadOnlySpan<int> pages, int count, int layer, int head, Span<float> output)
    {
        var weights = _weights.Pointer;
        for (var start = 0; start < count; start += KeyValueCache.PageTokens)
        {
            Scores(query, cache.Keys(pages[start / KeyValueCache.PageTokens], layer, head), headSize).StoreAligned(weights + start);
        }

        var softmax = new Span<float>(weights, count);
        TensorPrimitives.Subtract(softmax, TensorPrimitives.Max(softmax), softmax);
        TensorPrimitives.Exp(softmax, softmax);
        var total = TensorPrimitives.Sum<float>(softmax);

        _sum.Clear();
        for (var start = 0; start < count; start += KeyValueCache.PageTokens)
        {
            var values = cache.Values(pages[start / KeyValueCache.PageTokens], layer, head);
            AddWeighted(weights + start, values, int.Min(KeyValueCache.PageTokens, count - start));
        }

        TensorPrimitives.Multiply(new ReadOnlySpan<float>(_sum.Pointer, headSize), 1 / total, output);
    }

    public void Dispose()
    {
        _weights.Dispose();
        _sum.Dispose();
    }

    /// <summary>q · k for 16 positions; lanes past the sequence's end hold whatever the page held.</summary>
    static Vector512<float> Scores(float* query, float* keys, int headSize)
    {
        Vector512<float> even = default, odd = default;
        for (var i = 0; i < headSize; i += 2, keys += 2 * Lanes)
        {
            even = Vector512.FusedMultiplyAdd(Vector512.Create(query[i]), Vector512.LoadAligned(keys), even);
            odd = Vector512.FusedMultiplyAdd(Vector512.Create(query[i + 1]), Vector512.LoadAligned(keys + Lanes), odd);
        }

        return even + odd;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AddWeighted(float* weights, float* values, int count)
    {
        int stride = cache.ValueStride, channel = 0;
        var sum = _sum.Pointer;
        for (; channel + 4 * Lanes <= stride; channel += 4 * Lanes)
        {
            Vector512<float> s0 = Vector512.LoadAligned(sum + channel), s1 = Vector512.LoadAligned(sum + channel + 16);
            Vector512<float> s2 = Vector512.LoadAligned(sum + channel + 32), s3 = Vector512.LoadAligned(sum + channel + 48);
            var row = values + channel;
            for (var i = 0; i < count; i++, row += stride)
            {
                var weight = Vector512.Create(weights[i]);
                s0 = Vector512.FusedMultiplyAdd(weight, Vector512.LoadAligned(row), s0);
                s1 = Vector512.FusedMultiplyAdd(weight, Vector512.LoadAligned(row + 16), s1);
                s2 = Vector512.FusedMultiplyAdd(weight, Vector512.LoadAligned(row + 32), s2);
                s3 = Vector512.FusedMultiplyAdd(weight, Vector512.LoadAligned(row + 48), s3);
            }

            s0.StoreAligned(sum + channel);
            s1.StoreAligned(sum + channel + 16);
            s2.StoreAligned(sum + channel + 32);
            s3.StoreAligned(sum + channel + 48);
        }

        for (; channel < stride; channel += Lanes)
        {
            var s = Vector512.LoadAligned(sum + channel);
            var row = values + channel;
            for (var i = 0; i < count; i++, row += stride)
            {
                s = Vector512.FusedMultiplyAdd(Vector512.Create(weights[i]), Vector512.LoadAligned(row), s);
            }

            s.StoreAligned(sum + channel);
        }
    }
}
