using System.Runtime.InteropServices;

namespace TraceDistill.Inference.Kernels;

/// <summary>A block of float32 outside the managed heap, aligned to a cache line so that vector loads never straddle one.</summary>
/// <remarks>
/// The content is undefined until written: the operating system commits a page of it only when it is first touched. Large blocks ask
/// Linux for pages of 2 MiB: streaming weights and caches through pages of 4 KiB spends up to a third of the time in address translation.
/// </remarks>
sealed unsafe partial class NativeBuffer : IDisposable
{
    const nuint CacheLine = 64;
    const nuint HugePage = 2 << 20;
    const int AdviceHugePage = 14;

    public NativeBuffer(long length)
    {
        Length = length;
        var bytes = checked((nuint)length * sizeof(float));
        Pointer = (float*)NativeMemory.AlignedAlloc(bytes, bytes < HugePage ? CacheLine : HugePage);
        if (bytes >= HugePage && OperatingSystem.IsLinux())
        {
            _ = Advise(Pointer, bytes, AdviceHugePage); // Only advice: without it all works, more slowly.
        }
    }

    public float* Pointer { get; private set; }

    public long Length { get; }

    /// <summary>All of it; valid while this object lives.</summary>
    public Span<float> Span => new(Pointer, checked((int)Length));

    /// <summary>Returns the beginning of a row of a matrix in it; valid while this object lives.</summary>
    /// <param name="stride">Floats from one row to the next.</param>
    public Span<float> Row(int row, int stride, int length) => new(Pointer + (long)row * stride, length);

    public void Clear() => NativeMemory.Clear(Pointer, (nuint)Length * sizeof(float));

    public void Dispose()
    {
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
