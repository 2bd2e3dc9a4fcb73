using System.Runtime.InteropServices;

namespace TraceDistill.Text.Files;

/// <summary>
/// Makes sure that the names in a directory are on the disk: a file that is flushed can still lose its new name with the power.
/// </summary>
public static class DirectorySync
{
    const int AccessDenied = 13; // EACCES: a directory that may be written but not read
    const int NotSupported = 22; // EINVAL: a file system that keeps directories in its own way

    /// <remarks>Windows keeps names in its file system's log and has no such call.</remarks>
    /// <exception cref="IOException">The disk fails.</exception>
    public static void Flush(string directory) => Synchronize(directory);

    /// <summary>
    /// Gives a file its name, over a file that has it already. Once it returns, the loss of power does not take the name back.
    /// </summary>
    /// <param name="from">The file, whose content is on the disk.</param>
    /// <param name="to">Its new name.</param>
    /// <exception cref="IOException">The disk fails.</exception>
    public static void MoveFile(string from, string to)
    {
        File.Move(from, to, overwrite: true);
        Flush(ParentOf(to));
    }

    /// <summary>Gives a folder its name, after all that it holds is on the disk: contents, and the names within.</summary>
    /// <param name="from">The folder.</param>
    /// <param name="to">Its new name, which nothing has, in the same parent.</param>
    /// <exception cref="IOException">The disk fails, or the name is taken.</exception>
    public static void MoveFolder(string from, string to)
    {
        foreach (var path in Directory.EnumerateFileSystemEntries(from, "*", SearchOption.AllDirectories))
        {
            Synchronize(path);
        }

        Flush(from);
        Directory.Move(from, to);
        Flush(ParentOf(to));
    }

    static string ParentOf(string path) => Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))!;

    static void Synchronize(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        if (NativeFile.Open(path) is not { } descriptor)
        {
            Check(path);
            return;
        }

        try
        {
            if (NativeFile.Synchronize(descriptor) != 0)
            {
                Check(path);
            }
        }
        finally
        {
            _ = NativeFile.Close(descriptor);
        }
    }

    static void Check(string path)
    {
        if (Marshal.GetLastPInvokeError() is var error && error is not (AccessDenied or NotSupported))
        {
            throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}", error);
        }
    }
}
