namespace TraceDistill.Text.Files;

/// <summary>Publishes files whole or not at all: temporary name, flush to disk, rename, flush of the directory.</summary>
public static class AtomicFile
{
    /// <summary>Ends the names of files that are still being written; a later run may delete them.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>
    /// Writes <paramref name="path"/> through <paramref name="write"/>; after a failure the old
    /// file, if any, is untouched, and nothing of the new one is left to take up a full disk.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes its content.</param>
    /// <param name="writer">Tells processes that may write the same file at once apart: each has a temporary name of its own.</param>
    public static void Write(string path, Action<Stream> write, string writer = "")
    {
        var temporary = path + writer + TemporarySuffix;
        var stream = Create(temporary);
        try
        {
            using (stream)
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            DirectorySync.MoveFile(temporary, path);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <inheritdoc cref="Write"/>
    public static async Task WriteAsync(string path, Func<Stream, Task> write)
    {
        var temporary = path + TemporarySuffix;
        var stream = Create(temporary);
        try
        {
            await using (stream)
            {
                await write(stream);
                stream.Flush(flushToDisk: true);
            }

            DirectorySync.MoveFile(temporary, path);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Writes a text file whole, as UTF-8 without a byte-order mark.</summary>
    public static void WriteAllText(string path, string text, string writer = "") =>
        Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)), writer);

    static FileStream Create(string temporary) => new(temporary, FileMode.Create, FileAccess.ReadWrite, FileShare.None);
}
