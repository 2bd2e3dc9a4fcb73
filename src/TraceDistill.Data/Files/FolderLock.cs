using System.Globalization;
using System.Net;
using System.Text;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Files;

/// <summary>Keeps other processes out of a folder, or out of a part of it, until it is disposed of.</summary>
/// <remarks>The system lets go of the lock however the process ends; the file itself stays, and tells who took it last.</remarks>
public sealed class FolderLock : IDisposable
{
    /// <summary>The file that stands for the whole folder.</summary>
    public const string FileName = ".lock";

    readonly FileStream _file;
    readonly FileStream? _whole;

    FolderLock(FileStream file, FileStream? whole) => (_file, _whole) = (file, whole);

    /// <summary>Takes the whole folder.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <exception cref="ExternalFailureException">Another process has it, or a part of it.</exception>
    /// <exception cref="InvalidInputException">The folder cannot be written to.</exception>
    public static FolderLock Take(string folder)
    {
        return new FolderLock(Open(folder, FileName, FileShare.None) ?? throw InUse(folder, HolderOf(folder)), whole: null);
    }

    /// <summary>
    /// Takes a part of a folder: processes that have other parts may work at the same time, one that takes the whole may not.
    /// </summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="name">The file that stands for the part; begins with <see cref="FileName"/>.</param>
    /// <exception cref="ExternalFailureException">Another process has the part, or the whole.</exception>
    /// <exception cref="InvalidInputException">The folder cannot be written to.</exception>
    public static FolderLock TakePart(string folder, string name)
    {
        var whole = Open(folder, FileName, FileShare.Read) ?? throw InUse(folder, OwnerIn(folder, FileName));
        if (Open(folder, name, FileShare.None) is { } file)
        {
            return new FolderLock(file, whole);
        }

        whole.Dispose();
        throw InUse(folder, OwnerIn(folder, name));
    }

    /// <summary>Returns whether a process has it. Several may ask at once.</summary>
    public static bool IsHeld(string folder, string name)
    {
        try
        {
            using var file = new FileStream(Path.Combine(folder, name), FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
        catch (IOException error) when (IsSharingViolation(error))
        {
            return true;
        }
    }

    public void Dispose()
    {
        _file.Dispose();
        _whole?.Dispose();
    }

    /// <returns>Null where another process keeps this one out.</returns>
    static FileStream? Open(string folder, string name, FileShare share)
    {
        try
        {
            var file = new FileStream(
                Path.Combine(folder, name),
                FileMode.OpenOrCreate,
                share == FileShare.None ? FileAccess.ReadWrite : FileAccess.Read,
                share
            );
            if (share == FileShare.None)
            {
                NameOwner(file);
            }

            return file;
        }
        catch (IOException error) when (IsSharingViolation(error))
        {
            return null;
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(folder, error);
        }
    }

    /// <summary>Who has it is a help, not worth failing for on a full disk.</summary>
    static void NameOwner(FileStream file)
    {
        try
        {
            file.SetLength(0);
            file.Write(
                Encoding.UTF8.GetBytes(
                    string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId} on {Dns.GetHostName()}\n")
                )
            );
            file.Flush();
        }
        catch (IOException) { }
    }

    static ExternalFailureException InUse(string folder, string? owner) =>
        new(
            $"{folder}: another run is using this folder{(owner is null ? "" : $" ({owner})")}; "
                + "wait for it, or name another folder with --out"
        );

    /// <summary>Who has a folder: the whole of it, or else one of its parts.</summary>
    static string? HolderOf(string folder) =>
        IsHeld(folder, FileName)
            ? OwnerIn(folder, FileName)
            : Directory
                .EnumerateFiles(folder, FileName + "-*")
                .Select(file => Path.GetFileName(file))
                .Where(name => IsHeld(folder, name))
                .Select(name => OwnerIn(folder, name))
                .FirstOrDefault();

    /// <summary>The owner that a lock's file names. Read past the runtime, whose way to open a file respects the lock.</summary>
    /// <returns>Null where that cannot be read.</returns>
    static string? OwnerIn(string folder, string name)
    {
        if (OperatingSystem.IsWindows() || NativeFile.Open(Path.Combine(folder, name)) is not { } descriptor)
        {
            return null;
        }

        var bytes = new byte[512];
        var count = NativeFile.Read(descriptor, bytes, (nuint)bytes.Length);
        _ = NativeFile.Close(descriptor);
        return count > 0 && Encoding.UTF8.GetString(bytes, 0, (int)count).Trim() is { Length: > 0 } owner ? owner : null;
    }

    static bool IsSharingViolation(IOException error) =>
        error.GetType() == typeof(IOException) && (error.HResult & 0xFFFF) is 32 or 33 or 11;
}
