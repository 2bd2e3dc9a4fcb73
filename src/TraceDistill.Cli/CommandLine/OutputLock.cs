using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.CommandLine;

/// <summary>Keeps other processes out of the folder that <c>--out</c> names while a verb writes to it.</summary>
sealed class OutputLock : IDisposable
{
    readonly string _folder;
    readonly bool _isNew;
    readonly FolderLock _lock;

    OutputLock(string folder, bool isNew)
    {
        (_folder, _isNew) = (folder, isNew);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(folder, error);
        }

        _lock = FolderLock.Take(folder);
    }

    /// <param name="folder">The folder, made where it is not there; null for none.</param>
    /// <exception cref="ExternalFailureException">Another process writes to it.</exception>
    /// <exception cref="InvalidInputException">It cannot be written to.</exception>
    public static OutputLock? Take(string? folder) => folder is null ? null : new OutputLock(folder, !Directory.Exists(folder));

    /// <summary>Lets others in. A verb that failed before it wrote anything leaves no folder behind.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        var file = Path.Combine(_folder, FolderLock.FileName);
        if (_isNew && File.Exists(file) && Directory.EnumerateFileSystemEntries(_folder).Take(2).Count() == 1)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }
}
