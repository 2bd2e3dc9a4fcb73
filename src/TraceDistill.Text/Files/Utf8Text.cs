using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Files;

/// <summary>Text of files that somebody else wrote: bytes that are not UTF-8 are bad input, told with their place.</summary>
public static class Utf8Text
{
    static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a file as text; a byte order mark is left out.</summary>
    /// <param name="path">The file, which is there.</param>
    /// <param name="mostBytes">The most that such a file may reasonably hold; no more of it is read.</param>
    /// <exception cref="InvalidInputException">The file is none, larger, or not UTF-8.</exception>
    public static string ReadFile(string path, int mostBytes)
    {
        var bytes = InputFile.ReadAllBytes(path, mostBytes);
        if (bytes is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
        {
            throw new InvalidInputException($"{path}: is UTF-16; save it as UTF-8");
        }

        Check(path, bytes);
        return Strict.GetString(bytes.AsSpan()[(bytes is [0xEF, 0xBB, 0xBF, ..] ? 3 : 0)..]);
    }

    /// <summary>Looks for bytes that are not UTF-8.</summary>
    /// <param name="path">The file that they come from.</param>
    /// <exception cref="InvalidInputException">There are some; the first one's line and offset are named.</exception>
    public static void Check(string path, ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            return;
        }

        // The first that cannot be decoded: all before it is whole characters.
        var at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out var length) == OperationStatus.Done)
        {
            at += length;
        }

        throw Invalid(path, bytes[..at].Count((byte)'\n') + 1, at, bytes[at]);
    }

    static InvalidInputException Invalid(string path, int line, long offset, byte value) =>
        new($"{path}:{line}: byte {offset} (0x{value:X2}) is not UTF-8; save the file as UTF-8, or fetch it again");

    /// <summary>Looks for bytes that are not UTF-8 in a file of any size.</summary>
    /// <exception cref="InvalidInputException">There are some; the first one's line and offset are named.</exception>
    public static void CheckFile(string path)
    {
        using var stream = File.OpenRead(path);
        var (buffer, filled, offset, line) = (new byte[1 << 16], 0, 0L, 1);
        while (true)
        {
            var read = stream.Read(buffer, filled, buffer.Length - filled);
            var bytes = buffer.AsSpan(0, filled + read);
            var (at, status) = (0, OperationStatus.Done);
            while (at < bytes.Length && (status = Rune.DecodeFromUtf8(bytes[at..], out _, out var length)) == OperationStatus.Done)
            {
                at += length;
            }

            line += bytes[..at].Count((byte)'\n');
            if (status == OperationStatus.InvalidData || (read == 0 && at < bytes.Length))
            {
                throw Invalid(path, line, offset + at, bytes[at]);
            }

            if (read == 0)
            {
                return;
            }

            bytes[at..].CopyTo(buffer);
            (filled, offset) = (bytes.Length - at, offset + at);
        }
    }

    /// <summary>
    /// Looks for text in JSON that a parser would find only when asked for it: bytes that are
    /// not UTF-8, and escaped halves of surrogate pairs.
    /// </summary>
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
                    throw new InvalidInputException(
                        $"{path}:{line}: a string holds half of a surrogate pair, which is no character; fetch or export the file again",
                        malformed
                    );
                }
            }
        }
    }
}
