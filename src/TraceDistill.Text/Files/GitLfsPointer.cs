using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Files;

/// <summary>The few lines that Git LFS leaves in place of a large file until it is asked for it.</summary>
/// <remarks>Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.</remarks>
public static class GitLfsPointer
{
    /// <summary>A pointer is shorter than this.</summary>
    const int LongestPointer = 1024;

    static ReadOnlySpan<byte> FirstLine => "version https://git-lfs.github.com/spec/"u8;

    /// <summary>Looks at the beginning of a file.</summary>
    /// <exception cref="InvalidInputException">It is a pointer.</exception>
    public static void Refuse(string file)
    {
        using var stream = File.OpenRead(file);
        Span<byte> start = stackalloc byte[FirstLine.Length];
        if (stream.CanSeek && stream.Length < LongestPointer)
        {
            Refuse(file, start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)]);
        }
    }

    /// <summary>As above, where the content has been read.</summary>
    /// <exception cref="InvalidInputException">It is a pointer.</exception>
    public static void Refuse(string file, ReadOnlySpan<byte> content)
    {
        if (content.StartsWith(FirstLine))
        {
            throw new InvalidInputException(
                $"{file}: a Git LFS pointer in place of the file itself; run 'git lfs pull' in its repository, or download the file"
            );
        }
    }
}
