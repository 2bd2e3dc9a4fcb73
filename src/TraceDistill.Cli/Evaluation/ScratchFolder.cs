namespace TraceDistill.Cli.Evaluation;

/// <summary>An empty folder for work whose files nobody asked for.</summary>
sealed class ScratchFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("tracedistill-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
