using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Files;

/// <summary>Turns what the operating system says about a failed write into one line for the user.</summary>
public static class StorageFailure
{
    const int NoSpaceLeftOnDevice = 28; // ENOSPC
    const int FileTooLarge = 27; // EFBIG
    const int ReadOnlyFileSystem = 30; // EROFS
    const int DiskQuotaExceeded = 122; // EDQUOT
    const int ErrorHandleDiskFull = unchecked((int)0x80070027);
    const int ErrorDiskFull = unchecked((int)0x80070070);

    /// <summary>Returns whether <paramref name="error"/> is one that <see cref="Describe"/> has words for.</summary>
    public static bool Covers(Exception error) => error is IOException or UnauthorizedAccessException;

    /// <summary>Returns whether the disk, or the share of it that may be written, is full.</summary>
    /// <remarks>Looks at what caused it, too: who describes a failure keeps the system's own word inside.</remarks>
    public static bool IsDiskFull(Exception error) =>
        error switch
        {
            AggregateException several => several.InnerExceptions.Any(IsDiskFull),
            _ => IsDiskFullItself(error) || (error.InnerException is { } cause && IsDiskFull(cause)),
        };

    static bool IsDiskFullItself(Exception error) =>
        error is IOException
        && error.HResult is NoSpaceLeftOnDevice or FileTooLarge or DiskQuotaExceeded or ErrorHandleDiskFull or ErrorDiskFull;

    /// <param name="path">The directory that was written to.</param>
    /// <param name="error">The operating system's error.</param>
    /// <returns>
    /// <see cref="InvalidInputException"/> for a place that cannot be written to, where repeating cannot help;
    /// <see cref="ExternalFailureException"/> for a full or failing disk.
    /// </returns>
    public static Exception Describe(string path, Exception error)
    {
        if (IsDiskFull(error))
        {
            return new ExternalFailureException($"{path}: the disk is full; free some space and run the same command again", error);
        }

        var cannotBe =
            error is UnauthorizedAccessException or DirectoryNotFoundException
            || error.HResult == ReadOnlyFileSystem
            || File.Exists(path)
            || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)));
        return cannotBe
            ? new InvalidInputException($"{path}: cannot be written ({FirstLine(error)}); choose a folder that you may write to", error)
            : new ExternalFailureException(
                $"{path}: writing failed ({FirstLine(error)}); check the disk and run the same command again",
                error
            );
    }

    static string FirstLine(Exception error) => error.Message.Split('\n')[0].TrimEnd('.', '\r', ' ');
}
