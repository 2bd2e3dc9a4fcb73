using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Storage;

/// <summary>Keeps other processes out of a folder, or out of a part of it, until it is disposed of.</summary>
/// <remarks>The system lets go of the lock however the process ends; the file itself stays.</remarks>
public sealed class FolderLock : IDisposable
{
    /// <summary>The file that stands for the whole folder.</summary>
    public const string FileName = ".lock";

    readonly FileStream _file;

    FolderLock(FileStream file) => _file = file;

    /// <param name="folder">An existing folder.</param>
    /// <param name="name">The file that stands for what is locked.</param>
    /// <exception cref="ExternalFailureException">Another process has it.</exception>
    /// <exception cref="InvalidInputException">The folder cannot be written to.</exception>
    public static FolderLock Take(string folder, string name = FileName) => TryTake(folder, name)
        ?? throw new ExternalFailureException($"{folder}: another run is using this folder; wait for it, or name another folder with --out");

    /// <inheritdoc cref="Take"/>
    /// <returns>Null where another process has it.</returns>
    public static FolderLock? TryTake(string folder, string name = FileName)
    {
        try
        {
            return new FolderLock(new FileStream(Path.Combine(folder, name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
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

    /// <summary>Whether a process has it. Several may ask at once.</summary>
    public static bool IsHeld(string folder, string name)
    {
        try
        {
            using var file = new FileStream(Path.Combine(folder, name), FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException error) when (IsSharingViolation(error))
        {
            return true;
        }
    }

    public void Dispose() => _file.Dispose();

    static bool IsSharingViolation(IOException error) => error.GetType() == typeof(IOException) && (error.HResult & 0xFFFF) is 32 or 33 or 11;
}
