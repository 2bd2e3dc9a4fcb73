using System.Globalization;

namespace TraceDistill.Teachers.Wire;

/// <summary>A server's words as one line that a terminal shows as it is.</summary>
static class PlainLine
{
    /// <summary>
    /// The text with one space for each run of white space, without control characters and marks that turn the direction of writing.
    /// </summary>
    public static string Of(string text)
    {
        var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return string.Concat(
            string.Join(' ', words)
                .Where(letter => char.GetUnicodeCategory(letter) is not (UnicodeCategory.Control or UnicodeCategory.Format))
        );
    }

    /// <summary>The same, at most so many characters of it.</summary>
    public static string Cut(string text, int most) => Of(text.Length > most ? text[..most] + "…" : text);
}
