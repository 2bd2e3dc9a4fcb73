using System.Runtime.InteropServices;

namespace TraceDistill.Models.Native;

/// <summary>Recognises libtorch's exceptions for memory that is full, the machine's or a GPU's.</summary>
public static class MemoryFailure
{
    /// <summary>Returns whether an exception says that memory is full.</summary>
    public static bool IsMemoryFull(Exception error) =>
        error is ExternalException
        && (
            error.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase) // of a GPU
            || error.Message.Contains("allocate memory", StringComparison.OrdinalIgnoreCase)
            || error.Message.Contains("not enough memory", StringComparison.OrdinalIgnoreCase) // on Windows
        );
}
