using System.Globalization;
using System.Text;

namespace TraceDistill.Cli;

/// <summary>Text from outside as a terminal may show it: everything can be seen, and nothing is obeyed.</summary>
static class VisibleText
{
    /// <summary>
    /// UTF-8 as it is, line breaks and tabs too; other control characters, and bytes that are no whole character, as <c>\x1B</c>.
    /// </summary>
    public static string Of(string text) =>
        text.Any(letter => char.IsControl(letter) && letter is not ('\n' or '\t'))
            ? Of(Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\n")))
            : text;

    /// <inheritdoc cref="Of(string)"/>
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        while (!bytes.IsEmpty)
        {
            var isWhole = Rune.DecodeFromUtf8(bytes, out var rune, out var length) == System.Buffers.OperationStatus.Done;
            if (isWhole && (!Rune.IsControl(rune) || rune.Value is '\n' or '\t'))
            {
                text.Append(rune);
            }
            else
            {
                foreach (var code in bytes[..length])
                {
                    text.Append(CultureInfo.InvariantCulture, $"\\x{code:X2}");
                }
            }
            bytes = bytes[length..];
        }

        return text.ToString();
    }
}
