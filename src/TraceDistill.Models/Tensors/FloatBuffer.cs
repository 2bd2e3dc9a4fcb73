using System.Runtime.InteropServices;
using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Models.Tensors;

/// <summary>Takes a stretch of memory, to read or to fill it.</summary>
/// <returns>True where it was filled: what lies on another device is then copied back to it.</returns>
public delegate bool BytesVisitor(Span<byte> bytes);

/// <summary>
/// Memory of one device as a flat tensor, of float32 or by choice of bfloat16; float32 on the
/// CPU can be seen as well, for our own kernels.
/// </summary>
public sealed class FloatBuffer : IDisposable
{
    /// <summary>Floats that are shown or copied at once: a span counts bytes in int.</summary>
    const int Piece = 1 << 28;

    readonly Tensor _all;
    readonly TensorMemory<float> _memory;

    /// <param name="count">Elements; they start as zero.</param>
    /// <param name="device">Where they lie; null is the CPU.</param>
    /// <param name="dtype">Float32 or bfloat16.</param>
    /// <exception cref="InsufficientMemoryException">The machine has less.</exception>
    public FloatBuffer(long count, Device? device = null, ScalarType dtype = ScalarType.Float32)
        : this(Allocate(count, device ?? CPU, dtype)) { }

    FloatBuffer(Tensor all)
    {
        _all = all.DetachFromDisposeScope();
        Count = all.numel();
        if (IsAddressed)
        {
            _memory = new TensorMemory<float>(_all);
        }
    }

    public long Count { get; }

    /// <summary>Where the elements lie.</summary>
    public Device Device => _all.device;

    /// <summary>Float32 or bfloat16.</summary>
    public ScalarType Dtype => _all.dtype;

    /// <summary>True where our own kernels compute with it; if not, libtorch's operations do.</summary>
    public bool TakesKernels => CpuKernels.AreUsed && IsAddressed;

    /// <exception cref="InvalidOperationException">The elements are not float32 on the CPU.</exception>
    internal TensorMemory<float> Memory =>
        IsAddressed ? _memory : throw new InvalidOperationException($"{Dtype} on {Device} cannot be read as float32 on the CPU");

    /// <summary>The memory as a span, where one span can count it; valid while this object lives.</summary>
    public Span<float> Span => Memory.Slice(0, checked((int)Count));

    /// <summary>All elements as one vector that shares this memory.</summary>
    public Tensor Vector => _all;

    bool IsAddressed => _all.device_type == DeviceType.CPU && _all.dtype == ScalarType.Float32;

    /// <summary>A part of the memory, which may lie beyond what one span can count.</summary>
    public Span<float> Slice(long start, int count) => Memory.Slice(start, count);

    public void Clear()
    {
        if (IsAddressed)
        {
            foreach (var (start, count) in Pieces(Piece))
            {
                Slice(start, count).Clear();
            }

            return;
        }

        using var noGrad = no_grad();
        _all.zero_();
    }

    /// <summary>Adds another buffer of the same size on the same device.</summary>
    public void Add(FloatBuffer other)
    {
        if (!TakesKernels)
        {
            using var noGrad = no_grad();
            _all.Add(other._all);
            return;
        }

        foreach (var (start, count) in Pieces(Piece))
        {
            TensorPrimitives.Add(Slice(start, count), other.Slice(start, count), Slice(start, count));
        }
    }

    /// <summary>Σ x² in float64, over stretches of 4,096 that are summed in float32.</summary>
    public double SumOfSquares()
    {
        const int Stretch = 4_096;
        if (!TakesKernels)
        {
            return SumOfSquares(Stretch);
        }

        var sum = 0.0;
        foreach (var (start, count) in Pieces(Stretch))
        {
            sum += TensorPrimitives.SumOfSquares<float>(Slice(start, count));
        }

        return sum;
    }

    /// <summary>Copies elements to the CPU as float32, from <paramref name="start"/> on.</summary>
    public void Read(long start, Span<float> values) => Read(start, values, Piece);

    /// <param name="start">The first element.</param>
    /// <param name="values">Receives as many as it has room for.</param>
    /// <param name="most">Elements that are copied at once.</param>
    internal void Read(long start, Span<float> values, int most)
    {
        if (IsAddressed)
        {
            Slice(start, values.Length).CopyTo(values);
            return;
        }

        for (; !values.IsEmpty; start += most)
        {
            var count = Math.Min(most, values.Length);
            using var part = _all.narrow(0, start, count);
            using var copy = part.to(ScalarType.Float32, CPU);
            MemoryMarshal.Cast<byte, float>(copy.bytes).CopyTo(values);
            values = values[count..];
        }
    }

    /// <summary>Shows all memory in order.</summary>
    public void Visit(BytesVisitor visit) => Visit(0, Count, visit);

    /// <summary>
    /// Shows the memory of <paramref name="elements"/> elements from <paramref name="first"/> on.
    /// </summary>
    public void Visit(long first, long elements, BytesVisitor visit)
    {
        for (long start = first, end = first + elements; start < end; start += Piece)
        {
            var count = (int)Math.Min(Piece, end - start);
            if (IsAddressed)
            {
                _ = visit(MemoryMarshal.AsBytes(Slice(start, count)));
                continue;
            }

            using var noGrad = no_grad();
            using var part = _all.narrow(0, start, count);
            using var copy = part.to(CPU, copy: true);
            if (visit(copy.bytes))
            {
                part.copy_(copy);
            }
        }
    }

    /// <summary>A copy of the elements on a device.</summary>
    public FloatBuffer CopyTo(Device device) => new(_all.to(device, copy: true));

    /// <summary>A copy of the elements as numbers of another kind, rounded to the nearest.</summary>
    public FloatBuffer CopyAs(ScalarType dtype) => new(_all.to(dtype, copy: true));

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

    public void Dispose() => _all.Dispose();

    double SumOfSquares(int stretch)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var whole = Count / stretch * stretch;
        var sum = 0.0;
        // As many stretches at once as make a copy of 64 megabytes.
        for (long first = 0, most = 1 << 24; first < whole; first += most)
        {
            using var piece = NewDisposeScope();
            var rows = _all.narrow(0, first, Math.Min(most, whole - first)).view(-1, stretch);
            sum += (rows * rows).sum(dim: 1).to(ScalarType.Float64).sum().item<double>();
        }

        var rest = _all.narrow(0, whole, Count - whole);
        return sum + (rest * rest).sum().to(ScalarType.Float64).item<double>();
    }

    static Tensor Allocate(long count, Device device, ScalarType dtype)
    {
        try
        {
            return zeros(count, dtype: dtype, device: device);
        }
        catch (Exception error) when (MemoryFailure.IsMemoryFull(error))
        {
            throw new InsufficientMemoryException($"{count:N0} values of {dtype} cannot be allocated on {device}", error);
        }
    }
}
