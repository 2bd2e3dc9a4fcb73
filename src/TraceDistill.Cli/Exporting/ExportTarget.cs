using TraceDistill.Data.Files;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Safetensors;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Exporting;

/// <summary>Where an export goes. Nothing but an earlier export is written over, and a folder takes its place whole.</summary>
sealed class ExportTarget : IDisposable
{
    const string GgufExtension = ".gguf";

    readonly string _folder;
    readonly bool _isStage;

    /// <param name="folder">The folder; a stage's is its own and published by whoever runs it.</param>
    /// <param name="model">The model directory.</param>
    /// <exception cref="InvalidInputException">Something else is there.</exception>
    public ExportTarget(string folder, string model, bool isStage)
    {
        (_folder, _isStage) = (Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)), isStage);
        if (!isStage && Directory.Exists(_folder) && Stranger() is { } stranger)
        {
            var reason =
                Path.TrimEndingDirectorySeparator(Path.GetFullPath(model)) == _folder
                    ? "is the model itself"
                    : $"holds {stranger}, which no export wrote";
            throw new InvalidInputException($"--out: {folder} {reason}; name a new folder, or one that an earlier export wrote");
        }

        Folder = isStage ? _folder : Beside("partial");
        Discard();
        Directory.CreateDirectory(Folder);
    }

    /// <summary>Where to write.</summary>
    public string Folder { get; }

    /// <summary>Returns whether a path means a GGUF file, not a folder for one.</summary>
    public static bool IsFile(string path) =>
        File.Exists(path) || Path.GetExtension(path).Equals(GgufExtension, StringComparison.OrdinalIgnoreCase);

    /// <exception cref="InvalidInputException">Something is there that is no GGUF file.</exception>
    public static void CheckFile(string path)
    {
        if (Directory.Exists(path))
        {
            throw new InvalidInputException($"--out: {path} is a folder; name a file that is not there");
        }

        if (File.Exists(path))
        {
            using var stream = File.OpenRead(path);
            Span<byte> magic = stackalloc byte[4];
            if (stream.ReadAtLeast(magic, 4, throwOnEndOfStream: false) < 4 || !magic.SequenceEqual("GGUF"u8))
            {
                throw new InvalidInputException($"--out: {path} is there already and no GGUF file; name another");
            }
        }
    }

    /// <summary>Makes what was written the folder.</summary>
    public void Publish()
    {
        if (_isStage)
        {
            return;
        }

        var replaced = Beside("replaced");
        if (Directory.Exists(_folder))
        {
            Directory.Move(_folder, replaced);
        }

        DirectorySync.MoveFolder(Folder, _folder);
        if (Directory.Exists(replaced))
        {
            Directory.Delete(replaced, recursive: true);
        }
    }

    string Beside(string state) => Path.Combine(Path.GetDirectoryName(_folder)!, $".{Path.GetFileName(_folder)}.{state}");

    /// <summary>Leaves nothing half done behind.</summary>
    public void Dispose() => Discard();

    /// <summary>A file that would be lost though no export wrote it; null where there is none.</summary>
    string? Stranger() =>
        Directory
            .EnumerateFileSystemEntries(_folder)
            .Select(path => Path.GetFileName(path))
            .Order(StringComparer.Ordinal)
            .Where(name => name != FolderLock.FileName)
            .FirstOrDefault(name =>
                !ModelCard.IsIn(_folder) || !(name == ModelCard.FileName || ModelDirectory.Files.Contains(name) || WeightFiles.IsOne(name))
            );

    void Discard()
    {
        if (!_isStage && Directory.Exists(Folder))
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}
