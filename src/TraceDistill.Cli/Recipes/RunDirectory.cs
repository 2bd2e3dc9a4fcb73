using TraceDistill.Cli.Progress;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Recipes;

/// <summary>The folder of a run. While it is open no other process can run in it.</summary>
sealed class RunDirectory : IDisposable
{
    /// <summary>The recipe as it was run, with all references resolved.</summary>
    public const string RecipeFile = "recipe.yaml";

    public const string TensorBoardFolder = "tensorboard";

    readonly FolderLock _lock;

    RunDirectory(string path, FolderLock @lock)
    {
        Path = path;
        _lock = @lock;
    }

    /// <summary>Full path.</summary>
    public string Path { get; }

    public string Metrics => System.IO.Path.Combine(Path, MetricsLog.FileName);

    public string TensorBoard(string stage) => System.IO.Path.Combine(Path, TensorBoardFolder, stage);

    /// <exception cref="ExternalFailureException">Another process runs in it.</exception>
    public static RunDirectory Open(string path)
    {
        var full = Directory.CreateDirectory(path).FullName;
        return new RunDirectory(full, FolderLock.Take(full));
    }

    /// <summary>Writes a text file unless it already says the same.</summary>
    public void Write(string name, string text)
    {
        var file = System.IO.Path.Combine(Path, name);
        if (!File.Exists(file) || File.ReadAllText(file) != text)
        {
            AtomicFile.WriteAllText(file, text);
        }
    }

    /// <summary>Copies files of a finished stage into the run directory itself, unless they are there already.</summary>
    public void Take(string stageFolder, IEnumerable<string> names)
    {
        foreach (var name in names)
        {
            var (from, to) = (new FileInfo(System.IO.Path.Combine(stageFolder, name)), System.IO.Path.Combine(Path, name));
            if (from.Exists && !(File.Exists(to) && File.ReadAllBytes(to).AsSpan().SequenceEqual(File.ReadAllBytes(from.FullName))))
            {
                AtomicFile.Write(to, stream =>
                {
                    using var source = from.OpenRead();
                    source.CopyTo(stream);
                });
            }
        }
    }

    public void Dispose() => _lock.Dispose();
}
