using System.Runtime.InteropServices;

namespace TraceDistill.Models.Native;

/// <summary>The heap of the C library, from which libtorch takes the CPU's tensors.</summary>
public static partial class ProcessHeap
{
    // malloc.h of glibc.
    const int TrimThreshold = -1,
        TopPad = -2,
        MapThreshold = -3;

    const int Kept = 64 << 20;

    static int _isSet;

    /// <summary>
    /// Has freed memory of tensors up to 64 MiB kept for the next ones. By default glibc gives most of it
    /// back to the system at once, and a training that makes and frees the same tensors in each step then
    /// spends up to a tenth of its time on zeroed pages. Once a process; other C libraries stay as they are.
    /// </summary>
    public static void KeepFreed()
    {
        if (!OperatingSystem.IsLinux() || Interlocked.Exchange(ref _isSet, 1) != 0)
        {
            return;
        }

        try
        {
            _ = SetOption(MapThreshold, Kept);
            _ = SetOption(TrimThreshold, 1 << 30);
            // Heaps of threads are unmapped as a whole unless the one before has this much room.
            _ = SetOption(TopPad, Kept);
        }
        catch (Exception absent) when (absent is DllNotFoundException or EntryPointNotFoundException)
        {
            // musl has no such settings.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
