using System.Runtime.InteropServices;

namespace TraceDistill.Training.Generation.Kernels;

/// <summary>A block of float32 outside the managed heap, aligned to a cache line so that vector loads never straddle one.</summary>
/// <remarks>The content is undefined until written: the operating system commits a page of it only when it is first touched.</remarks>
sealed unsafe class NativeBuffer(long length) : IDisposable
{
    const int Alignment = 64;

    public float* Pointer { get; private set; } = (float*)NativeMemory.AlignedAlloc((nuint)length * sizeof(float), Alignment);

    public long Length { get; } = length;

    public void Clear() => NativeMemory.Clear(Pointer, (nuint)Length * sizeof(float));

    public void Dispose()
    {
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
    }
}
