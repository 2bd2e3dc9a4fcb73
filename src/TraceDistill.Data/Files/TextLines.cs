using System.Text;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Files;

/// <summary>The lines of a text file, each of bounded length.</summary>
public static class TextLines
{
    /// <summary>The longest line in characters: without a limit a file without line breaks would take all memory.</summary>
    public const int MostCharacters = 64 << 20;

    /// <summary>Reads lines that end in <c>\n</c>, <c>\r\n</c> or <c>\r</c>, without those.</summary>
    /// <exception cref="InvalidInputException">A line is too long, or bytes are not text; names the line.</exception>
    public static IEnumerable<string> Read(string path)
    {
        using var reader = new StreamReader(path, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
        var (line, buffer, number, isReturn) = (new StringBuilder(), new char[1 << 16], 1, false);
        while (Next(path, reader, buffer) is > 0 and var read)
        {
            for (var start = 0; start < read; )
            {
                if (isReturn && buffer[start] == '\n')
                {
                    (isReturn, start) = (false, start + 1);
                    continue;
                }

                isReturn = false;
                var end = buffer.AsSpan(start, read - start).IndexOfAny('\r', '\n');
                var length = end < 0 ? read - start : end;
                if (line.Length + length > MostCharacters)
                {
                    throw new InvalidInputException(
                        $"{path}, line {number}: is longer than {MostCharacters >> 20} Mi characters; break it into lines"
                    );
                }

                line.Append(buffer, start, length);
                start += length + (end < 0 ? 0 : 1);
                if (end >= 0)
                {
                    isReturn = buffer[start - 1] == '\r';
                    yield return line.ToString();
                    line.Clear();
                    number++;
                }
            }
        }

        if (line.Length > 0)
        {
            yield return line.ToString();
        }
    }

    static int Next(string path, StreamReader reader, char[] buffer)
    {
        try
        {
            return reader.Read(buffer);
        }
        catch (DecoderFallbackException error)
        {
            Utf8Text.CheckFile(path);
            throw new InvalidInputException($"{path}: is not text; save it as UTF-8", error);
        }
    }
}
