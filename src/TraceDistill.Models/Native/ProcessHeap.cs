using System.Runtime.InteropServices;

namespace TraceDistill.Models.Native;

/// <summary>The heap of the C library, from which libtorch takes the CPU's tensors.</summary>
public static partial class ProcessHeap
{
    // malloc.h of glibc.
    const int TrimThreshold = -1,
        TopPad = -2,
        MapThreshold = -3,
        MostArenas = -8;

    /// <summary>The most that every version of glibc takes.</summary>
    const int Kept = 32 << 20;

    const int NeverTrimmed = 1 << 30;

    static int _isSet;

    /// <summary>
    /// Has freed memory of tensors up to 32 MiB kept for the next ones. By default glibc gives most of it
    /// back to the system at once, and a training that makes and frees the same tensors in each step then
    /// spends up to a tenth of its time on zeroed pages. What is kept lies in arenas, of which glibc has eight for
    /// each core: threads that take turns with the same work then keep its memory several times over. Once a process;
    /// other C libraries stay as they are.
    /// </summary>
    /// <param name="threads">Threads that make tensors at once: as many arenas there are from now on.</param>
    public static void KeepFreed(int threads)
    {
        if (!OperatingSystem.IsLinux() || Interlocked.Exchange(ref _isSet, 1) != 0)
        {
            return;
        }

        try
        {
            _ = SetOption(MostArenas, threads);
            // Any of the other options ends glibc's own adjustment of the first: without that the others would do harm.
            if (SetOption(MapThreshold, Kept) == 1)
            {
                _ = SetOption(TrimThreshold, NeverTrimmed);
                // Heaps of threads are unmapped as a whole unless the one before has this much room.
                _ = SetOption(TopPad, 2 * Kept);
            }
        }
        catch (Exception absent) when (absent is DllNotFoundException or EntryPointNotFoundException)
        {
            // musl has no such settings.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
