namespace TraceDistill.Tests.Support;

/// <summary>What the process holds once everything that can be collected is.</summary>
static class ProcessMemory
{
    public static long Resident()
    {
        Collect();
        return Environment.WorkingSet;
    }

    public static void Collect()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
