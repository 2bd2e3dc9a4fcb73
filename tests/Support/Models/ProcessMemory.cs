using System.Runtime.InteropServices;

namespace TraceDistill.Tests.Support;

/// <summary>Memory of the process once everything that can be collected is.</summary>
static partial class ProcessMemory
{
    public static long Resident()
    {
        Collect();
        if (OperatingSystem.IsLinux())
        {
            // The C library keeps freed memory: what is taken later would seem to need none.
            _ = TrimHeap(0);
        }

        return Environment.WorkingSet;
    }

    public static void Collect()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int TrimHeap(nuint kept);
}
