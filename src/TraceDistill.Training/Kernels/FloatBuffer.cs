using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Kernels;

/// <summary>Float32 CPU memory that is both a tensor (for matrix products) and a pointer (for our own kernels).</summary>
public sealed unsafe class FloatBuffer : IDisposable
{
    readonly Tensor _all;

    /// <param name="count">Elements; they start as zero.</param>
    public FloatBuffer(long count)
    {
        Count = count;
        _all = zeros(count, dtype: ScalarType.Float32, device: CPU).DetachFromDisposeScope();
        using var storage = _all.storage<float>();
        Pointer = (float*)storage.data_ptr();
    }

    public long Count { get; }

    public float* Pointer { get; }

    /// <summary>The memory as a span; valid while this object lives.</summary>
    public Span<float> Span => new(Pointer, checked((int)Count));

    /// <summary>A part of the memory, which may lie beyond what one span can count.</summary>
    public Span<float> Slice(long start, int count) => new(Pointer + start, count);

    /// <summary>The first rows × columns elements, from <paramref name="offset"/> on, as a matrix that shares this memory.</summary>
    public Tensor Matrix(long rows, long columns, long offset = 0) => Matrix(rows, columns, offset, columns);

    /// <summary>As above, with <paramref name="stride"/> elements from one row to the next.</summary>
    public Tensor Matrix(long rows, long columns, long offset, long stride) => _all.as_strided([rows, columns], [stride, 1], offset);

    /// <summary>All elements as one vector that shares this memory.</summary>
    public Tensor Vector => _all;

    public void Dispose() => _all.Dispose();
}
