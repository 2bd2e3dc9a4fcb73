using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// The memory of a contiguous tensor on the CPU, of which any stretch can be seen; valid while the tensor lives.
/// </summary>
/// <typeparam name="T">As wide as the tensor's elements.</typeparam>
readonly unsafe struct TensorMemory<T>
    where T : unmanaged
{
    public TensorMemory(Tensor tensor)
    {
        // A tensor's bytes are a span, which ends at 2 GiB; it is where they begin that is wanted.
        using var first = tensor.numel() < 1 << 28 ? null : tensor.as_strided([1], [1], tensor.storage_offset());
        Pointer = (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference((first ?? tensor).bytes));
    }

    public T* Pointer { get; }

    /// <summary>Returns elements from <paramref name="start"/> on, which may lie beyond what one span can count.</summary>
    public Span<T> Slice(long start, int count) => new(Pointer + start, count);
}
