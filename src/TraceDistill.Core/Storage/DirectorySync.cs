using System.Runtime.InteropServices;

namespace TraceDistill.Core.Storage;

/// <summary>Makes sure that the names in a directory are on the disk: a file that is flushed can still lose its new name with the power.</summary>
public static class DirectorySync
{
    const int ReadOnly = 0;
    const int AccessDenied = 13;        // EACCES: a directory that may be written but not read
    const int NotSupported = 22;        // EINVAL: a file system that keeps directories in its own way

    /// <remarks>Windows keeps names in its file system's log and has no such call.</remarks>
    /// <exception cref="IOException">The disk fails.</exception>
    public static void Flush(string directory)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var descriptor = Open(directory, ReadOnly);
        if (descriptor < 0)
        {
            Check(directory);
            return;
        }

        try
        {
            if (Synchronize(descriptor) != 0)
            {
                Check(directory);
            }
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    static void Check(string directory)
    {
        if (Marshal.GetLastPInvokeError() is var error && error is not (AccessDenied or NotSupported))
        {
            throw new IOException($"{directory}: {Marshal.GetPInvokeErrorMessage(error)}", error);
        }
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    static extern int Synchronize(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    static extern int Close(int descriptor);
}
