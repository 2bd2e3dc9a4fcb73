using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference.Kernels;

/// <summary>
/// Keys and values of all running sequences in the processor's memory, in the pages of
/// <see cref="PagePool"/>. Different pages may be written at once.
/// </summary>
/// <remarks>
/// For each layer, page and key/value head: keys as [channel][16 positions], so that one vector holds the same channel of 16 positions and
/// scores need no horizontal sums; then values as [16 positions][channels, padded to whole vectors]. A layer's pages lie together, because
/// attention walks through the pages of one sequence in one layer.
/// </remarks>
sealed unsafe class KeyValueCache : IDisposable
{
    const int PageTokens = PagePool.PageTokens;

    readonly NativeBuffer _pages;
    readonly int _heads,
        _headSize,
        _headFloats;

    /// <param name="bytes">Memory to hold pages in; the operating system commits it as pages are first used.</param>
    /// <param name="longestSequence">Tokens of a sequence that must fit, in more memory where that is too little.</param>
    public KeyValueCache(ModelConfiguration configuration, long bytes, int longestSequence)
    {
        _heads = configuration.NumKeyValueHeads;
        _headSize = configuration.HeadDim;
        ValueStride = SimdMath.Pad(_headSize);
        _headFloats = PageTokens * (_headSize + ValueStride);
        var pageFloats = (long)configuration.NumHiddenLayers * _heads * _headFloats;
        PageCount = PagePool.CountFor(bytes, longestSequence, pageFloats * sizeof(float));
        _pages = new NativeBuffer(pageFloats * PageCount);
    }

    public int PageCount { get; }

    /// <summary>Floats from one position's values to the next.</summary>
    public int ValueStride { get; }

    /// <summary>[channels][16] keys of one page, layer and head.</summary>
    public float* Keys(int page, int layer, int head) => _pages.Pointer + (((long)layer * PageCount + page) * _heads + head) * _headFloats;

    /// <summary>[16][<see cref="ValueStride"/>] values of one page, layer and head.</summary>
    public float* Values(int page, int layer, int head) => Keys(page, layer, head) + PageTokens * _headSize;

    /// <summary>Stores one position's key and value of one layer and head.</summary>
    public void Write(ReadOnlySpan<int> pages, int position, int layer, int head, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        int page = pages[position / PageTokens],
            lane = position % PageTokens;
        var keys = Keys(page, layer, head) + lane;
        for (var i = 0; i < _headSize; i++)
        {
            keys[i * PageTokens] = key[i];
        }

        var values = new Span<float>(Values(page, layer, head) + lane * ValueStride, ValueStride);
        value[.._headSize].CopyTo(values);
        values[_headSize..].Clear();
    }

    public void Dispose() => _pages.Dispose();
}
