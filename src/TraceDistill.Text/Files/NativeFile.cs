using System.Runtime.InteropServices;

namespace TraceDistill.Text.Files;

/// <summary>The calls of Unix that the runtime has no equal for.</summary>
static class NativeFile
{
    const int ReadOnly = 0;

    /// <returns>A descriptor of a file or directory to read; null where it cannot be opened, with the reason as the last error.</returns>
    public static int? Open(string path) => OpenFile(path, ReadOnly) is >= 0 and var descriptor ? descriptor : null;

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static extern int Synchronize(int descriptor);

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    public static extern nint Read(int descriptor, byte[] buffer, nuint count);

    [DllImport("libc", EntryPoint = "close")]
    public static extern int Close(int descriptor);

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    static extern int OpenFile([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);
}
