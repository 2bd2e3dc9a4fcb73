namespace TraceDistill.Cli.Doctor;

/// <summary>Finds out whether files can be made in a folder by making one.</summary>
static class WritableFolder
{
    /// <exception cref="IOException">They cannot.</exception>
    /// <exception cref="UnauthorizedAccessException">They cannot.</exception>
    public static void Probe(string folder)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, $".tracedistill-{Environment.ProcessId}.tmp");
        using var stream = new FileStream(
            file,
            FileMode.Create,
            FileAccess.Write,
            FileShare.None,
            bufferSize: 1,
            FileOptions.DeleteOnClose
        );
        stream.WriteByte(0);
    }
}
