using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Models.Cpu;

/// <summary>Float32 CPU memory that is both a tensor (for matrix products) and a pointer (for our own kernels).</summary>
public sealed unsafe class FloatBuffer : IDisposable
{
    readonly Tensor _all;

    /// <param name="count">Elements; they start as zero.</param>
    public FloatBuffer(long count)
    {
        Count = count;
        _all = Allocate(count).DetachFromDisposeScope();
        using var storage = _all.storage<float>();
        Pointer = (float*)storage.data_ptr();
    }

    public long Count { get; }

    public float* Pointer { get; }

    /// <summary>The memory as a span, where one span can count it; valid while this object lives.</summary>
    public Span<float> Span => new(Pointer, checked((int)Count));

    /// <summary>A part of the memory, which may lie beyond what one span can count.</summary>
    public Span<float> Slice(long start, int count) => new(Pointer + start, count);

    public void Clear() => NativeMemory.Clear(Pointer, (nuint)Count * sizeof(float));

    /// <summary>Adds another buffer of the same size.</summary>
    public void Add(FloatBuffer other)
    {
        foreach (var (start, count) in Pieces(1 << 30))
        {
            TensorPrimitives.Add(Slice(start, count), other.Slice(start, count), Slice(start, count));
        }
    }

    /// <summary>Stretches of at most <paramref name="size"/> elements that together are all.</summary>
    public IEnumerable<(long Start, int Count)> Pieces(int size)
    {
        for (var start = 0L; start < Count; start += size)
        {
            yield return (start, (int)Math.Min(size, Count - start));
        }
    }

    /// <summary>The first rows × columns elements, from <paramref name="offset"/> on, as a matrix that shares this memory.</summary>
    public Tensor Matrix(long rows, long columns, long offset = 0) => Matrix(rows, columns, offset, columns);

    /// <summary>As above, with <paramref name="stride"/> elements from one row to the next.</summary>
    public Tensor Matrix(long rows, long columns, long offset, long stride) => _all.as_strided([rows, columns], [stride, 1], offset);

    /// <summary>All elements as one vector that shares this memory.</summary>
    public Tensor Vector => _all;

    public void Dispose() => _all.Dispose();

    /// <exception cref="InsufficientMemoryException">The machine has less.</exception>
    static Tensor Allocate(long count)
    {
        try
        {
            return zeros(count, dtype: ScalarType.Float32, device: CPU);
        }
        catch (ExternalException error) when (error.Message.Contains("allocate", StringComparison.OrdinalIgnoreCase))
        {
            throw new InsufficientMemoryException($"{count:N0} float32 values cannot be allocated", error);
        }
    }
}
