using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Storage;

/// <summary>Text of files that somebody else wrote: bytes that are not UTF-8 are bad input, told with their place.</summary>
public static class Utf8Text
{
    static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a file as text; a byte order mark is left out.</summary>
    /// <param name="path">The file, which is there.</param>
    /// <param name="mostBytes">The most that such a file may reasonably hold; no more of it is read.</param>
    /// <exception cref="InvalidInputException">The file is larger, or not UTF-8.</exception>
    public static string ReadFile(string path, int mostBytes)
    {
        var bytes = ReadAtMost(path, mostBytes);
        if (bytes is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
        {
            throw new InvalidInputException($"{path}: is UTF-16; save it as UTF-8");
        }

        Check(path, bytes);
        return Strict.GetString(bytes.AsSpan()[(bytes is [0xEF, 0xBB, 0xBF, ..] ? 3 : 0)..]);
    }

    /// <summary>Looks for bytes that are not UTF-8.</summary>
    /// <param name="path">The file that they come from.</param>
    /// <exception cref="InvalidInputException">There are some; the first one's line and offset are told.</exception>
    public static void Check(string path, ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            return;
        }

        // The first that cannot be decoded: all before it is whole characters.
        var at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out var length) == System.Buffers.OperationStatus.Done)
        {
            at += length;
        }

        throw new InvalidInputException($"{path}:{bytes[..at].Count((byte)'\n') + 1}: byte {at} (0x{bytes[at]:X2}) is not UTF-8; save the file as UTF-8, or fetch it again");
    }

    /// <summary>Looks for text in JSON that a parser would find only when asked for it: bytes that are not UTF-8, and escaped halves of surrogate pairs.</summary>
    /// <param name="path">The file that it comes from.</param>
    /// <exception cref="InvalidInputException">There is some.</exception>
    /// <exception cref="JsonException">It is not JSON.</exception>
    public static void CheckJson(string path, ReadOnlySpan<byte> json)
    {
        Check(path, json);
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
            {
                try
                {
                    _ = reader.GetString();
                }
                catch (InvalidOperationException malformed)
                {
                    var line = json[..(int)reader.TokenStartIndex].Count((byte)'\n') + 1;
                    throw new InvalidInputException($"{path}:{line}: a string holds half of a surrogate pair, which is no character; fetch or export the file again", malformed);
                }
            }
        }
    }

    static byte[] ReadAtMost(string path, int mostBytes)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        using var bytes = new MemoryStream();
        var chunk = new byte[1 << 14];
        for (int read; (read = stream.Read(chunk)) > 0;)
        {
            bytes.Write(chunk, 0, read);
            if (bytes.Length > mostBytes)
            {
                throw new InvalidInputException($"{path}: is larger than {mostBytes >> 10:N0} KiB, which no such file needs; name another one");
            }
        }

        return bytes.ToArray();
    }
}
