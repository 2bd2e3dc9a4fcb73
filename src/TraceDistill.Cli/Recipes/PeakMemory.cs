using System.Diagnostics;
using System.Globalization;

namespace TraceDistill.Cli.Recipes;

/// <summary>The most memory this process has held at once.</summary>
static class PeakMemory
{
    const string ResetPeak = "5";

    /// <summary>
    /// Starts a new measurement where the system can (Linux, <c>/proc/self/clear_refs</c>);
    /// elsewhere the peak is that of the whole process.
    /// </summary>
    public static void Reset()
    {
        try
        {
            if (OperatingSystem.IsLinux())
            {
                File.WriteAllText("/proc/self/clear_refs", ResetPeak);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Containers may forbid it; a peak that includes earlier stages is still an upper bound.
        }
    }

    /// <summary>In bytes, resident (VmHWM).</summary>
    public static long Read()
    {
        if (!OperatingSystem.IsLinux())
        {
            using var process = Process.GetCurrentProcess();
            return process.PeakWorkingSet64;
        }

        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
