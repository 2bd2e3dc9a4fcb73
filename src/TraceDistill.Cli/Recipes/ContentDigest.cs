using System.Security.Cryptography;
using System.Text;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Recipes;

/// <summary>One file by its content.</summary>
/// <param name="Name">Relative to the digested folder with forward slashes; empty for a file digested by itself.</param>
sealed record FileDigest(string Name, long Bytes, DateTime Modified, string Sha256);

/// <summary>Tells whether files are the same as before by what is in them.</summary>
static class ContentDigest
{
    /// <summary>
    /// Digests a file, or all files below a folder in the order of their names; hidden and
    /// temporary files and stage manifests do not count.
    /// </summary>
    /// <param name="known">An earlier result: a file with the same name, size and time of change is not read again.</param>
    public static IReadOnlyList<FileDigest> Of(string path, IReadOnlyList<FileDigest>? known = null) =>
        File.Exists(path) ? [Of(path, "", known)] : [.. Files(path).Select(name => Of(Path.Combine(path, name), name, known))];

    /// <summary>One digest over names and contents.</summary>
    public static string Combine(IEnumerable<FileDigest> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in files)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{file.Name}\0{file.Sha256}\n"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    static FileDigest Of(string path, string name, IReadOnlyList<FileDigest>? known)
    {
        var info = new FileInfo(path);
        var (bytes, modified) = (info.Length, info.LastWriteTimeUtc);
        if (known?.FirstOrDefault(file => file.Name == name && file.Bytes == bytes && file.Modified == modified) is { } same)
        {
            return same;
        }

        InputFile.RefuseSpecial(path);
        using var stream = File.OpenRead(path);
        return new FileDigest(name, bytes, modified, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }

    static IEnumerable<string> Files(string folder) =>
        Directory
            .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(folder, file).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(name =>
                name != StageManifest.FileName
                && !name.EndsWith(AtomicFile.TemporarySuffix, StringComparison.Ordinal)
                && !name.Split('/').Any(part => part.StartsWith('.'))
            )
            .Order(StringComparer.Ordinal);
}
