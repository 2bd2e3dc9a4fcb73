using System.Runtime.InteropServices;

namespace TraceDistill.Models.Native;

/// <summary>How libtorch tells that there is no memory left, of the machine or of a GPU.</summary>
public static class MemoryFailure
{
    /// <summary>Returns whether an exception says so.</summary>
    public static bool IsTold(Exception error) =>
        error is ExternalException
        && (
            error.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase) // of a GPU
            || error.Message.Contains("allocate memory", StringComparison.OrdinalIgnoreCase)
        );
}
