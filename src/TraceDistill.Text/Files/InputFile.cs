using System.Buffers.Binary;
using System.Runtime.InteropServices;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Files;

/// <summary>
/// Tells files with content from pipes, sockets and devices, which cannot be read twice, or never end, or block whoever opens them.
/// </summary>
public static class InputFile
{
    const int BytesOfStatx = 256;
    const int ModeAt = 28;
    const int WantedMode = 1; // STATX_TYPE
    const int CurrentDirectory = -100; // AT_FDCWD
    const int TypeMask = 0xF000;
    const int RegularFile = 0x8000;

    /// <summary>Says what is wrong with a path as an input: it names a pipe, a socket or a device.</summary>
    /// <returns>Null for a file, a folder, and what does not exist.</returns>
    /// <remarks>Found out without opening it. Systems other than Linux are not asked: there such a path fails where it is read.</remarks>
    public static string? Fault(string path) =>
        TypeOf(path) switch
        {
            0x1000 => "is a pipe; write its content to a file and name that",
            0xC000 => "is a socket; name a file",
            0x2000 or 0x6000 => "is a device; name a file",
            _ => null,
        };

    /// <exception cref="InvalidInputException">It is a pipe, a socket or a device.</exception>
    public static void RefuseSpecial(string path)
    {
        if (Fault(path) is { } fault)
        {
            throw new InvalidInputException($"{path}: {fault}");
        }
    }

    /// <exception cref="InvalidInputException">
    /// There is no such file, it is no file or a Git LFS pointer, or it may not be read.
    /// </exception>
    public static void EnsureReadable(string path)
    {
        RefuseSpecial(path);
        if (!File.Exists(path))
        {
            throw new InvalidInputException($"{path}: {(Directory.Exists(path) ? "is a folder; name a file" : "no such file")}");
        }

        try
        {
            GitLfsPointer.Refuse(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{path}: cannot be read ({error.Message.TrimEnd('.')})", error);
        }
    }

    /// <summary>Reads a file that somebody else may have written.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mostBytes">The most that such a file may reasonably hold; no more of it is read.</param>
    /// <exception cref="InvalidInputException">It is a pipe, a socket or a device, a Git LFS pointer, or larger.</exception>
    public static byte[] ReadAllBytes(string path, int mostBytes)
    {
        RefuseSpecial(path);
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        using var bytes = new MemoryStream((int)Math.Min(stream.Length, mostBytes));
        var chunk = new byte[1 << 16];
        for (int read; (read = stream.Read(chunk)) > 0; )
        {
            bytes.Write(chunk, 0, read);
            if (bytes.Length > mostBytes)
            {
                throw new InvalidInputException(
                    $"{path}: is larger than {mostBytes >> 10:N0} KiB, which no such file needs; name another one"
                );
            }
        }

        GitLfsPointer.Refuse(path, bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
        return bytes.Length == bytes.Capacity ? bytes.GetBuffer() : bytes.ToArray();
    }

    /// <returns>The bits of the mode that tell the type; those of a file where that is not known.</returns>
    static int TypeOf(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return RegularFile;
        }

        var status = new byte[BytesOfStatx];
        try
        {
            return Statx(CurrentDirectory, path, flags: 0, WantedMode, status) == 0
                ? BinaryPrimitives.ReadUInt16LittleEndian(status.AsSpan(ModeAt)) & TypeMask
                : RegularFile;
        }
        catch (EntryPointNotFoundException)
        {
            return RegularFile;
        }
    }

    // Unlike stat, its structure is the same on every processor and in every C library.
    [DllImport("libc", EntryPoint = "statx")]
    static extern int Statx(int directory, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, byte[] status);
}
