using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Python's view of strings: what white space is, code points as characters, <c>repr</c>.</summary>
static class PythonText
{
    public static bool IsSpace(char character) => char.IsWhiteSpace(character) || character is >= '\x1c' and <= '\x1f';

    public static string TrimEnd(string text) => Trim(text, null, start: false, end: true);

    /// <summary><c>strip</c>, <c>lstrip</c> and <c>rstrip</c>: removes the given characters, or white space when null.</summary>
    public static string Trim(string text, string? characters, bool start, bool end)
    {
        var from = 0;
        var to = text.Length;
        while (start && from < to && Removes(text[from]))
        {
            from++;
        }
        while (end && to > from && Removes(text[to - 1]))
        {
            to--;
        }
        return text[from..to];

        bool Removes(char character) => characters?.Contains(character) ?? IsSpace(character);
    }

    /// <summary>The characters of a string, as Python counts them.</summary>
    public static List<string> Characters(string text)
    {
        var characters = new List<string>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var pair = char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            characters.Add(text.Substring(i, pair ? 2 : 1));
            i += pair ? 1 : 0;
        }

        return characters;
    }

    public static int Length(string text)
    {
        var length = text.Length;
        for (var i = 0; i + 1 < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && char.IsLowSurrogate(text[i + 1]))
            {
                length--;
            }
        }

        return length;
    }

    /// <summary>
    /// <c>split</c> at a separator, at most <paramref name="most"/> times when not negative; at runs of white space when null.
    /// </summary>
    public static List<object?> Split(string text, string? separator, long most)
    {
        var limit = most < 0 || most >= int.MaxValue ? int.MaxValue : (int)most + 1;
        return separator is null ? SplitAtSpace(text, limit) : [.. text.Split(separator, limit)];
    }

    /// <summary>Number of times that a text holds another, at most so many times when <paramref name="most"/> is not negative.</summary>
    public static long Count(string text, string part, long most)
    {
        var count = 0L;
        for (var at = 0; count != most && (at = text.IndexOf(part, at, StringComparison.Ordinal)) >= 0; at += part.Length)
        {
            count++;
        }
        return count;
    }

    public static long CountWords(string text)
    {
        var count = 0L;
        for (var i = 0; i < text.Length; i++)
        {
            count += !IsSpace(text[i]) && (i == 0 || IsSpace(text[i - 1])) ? 1 : 0;
        }
        return count;
    }

    static List<object?> SplitAtSpace(string text, int limit)
    {
        var parts = new List<object?>();
        var start = 0;
        while (true)
        {
            while (start < text.Length && IsSpace(text[start]))
            {
                start++;
            }
            if (start == text.Length)
            {
                return parts;
            }
            if (parts.Count + 1 == limit)
            {
                parts.Add(text[start..]);
                return parts;
            }

            var end = start;
            while (end < text.Length && !IsSpace(text[end]))
            {
                end++;
            }
            parts.Add(text[start..end]);
            start = end;
        }
    }

    /// <summary>Upper case at the start of each word, lower case elsewhere.</summary>
    public static string Title(string text)
    {
        var title = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var character in text)
        {
            title.Append(inWord ? char.ToLowerInvariant(character) : char.ToUpperInvariant(character));
            inWord = char.IsLetter(character);
        }

        return title.ToString();
    }

    public static string Capitalize(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    /// <summary>A float as Python prints it: the shortest digits that read back the same, always with a point or an exponent.</summary>
    public static string Float(double value)
    {
        if (double.IsNaN(value))
        {
            return "nan";
        }
        if (double.IsInfinity(value))
        {
            return value > 0 ? "inf" : "-inf";
        }
        var parts = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture).Split('E');
        var whole = parts[0].Split('.');
        var exponent = parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0;
        var digits = string.Concat(whole).TrimStart('0');
        // The number is 0.digits × 10^point.
        var point = whole[0].Length + exponent - (string.Concat(whole).Length - digits.Length);
        digits = digits.TrimEnd('0');
        return (double.IsNegative(value) ? "-" : "") + (digits.Length == 0 ? "0.0" : Float(digits, point));
    }

    static string Float(string digits, int point)
    {
        if (point is > 16 or < -3)
        {
            return $"{digits[..1]}{(digits.Length > 1 ? "." : "")}{digits[1..]}e{(point > 0 ? '+' : '-')}{Math.Abs(point - 1):00}";
        }
        if (point <= 0)
        {
            return "0." + new string('0', -point) + digits;
        }
        return digits.Length > point ? $"{digits[..point]}.{digits[point..]}" : digits.PadRight(point, '0') + ".0";
    }

    /// <summary>A string as <c>repr</c> writes it.</summary>
    public static string Repr(string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var repr = new StringBuilder().Append(quote);
        foreach (var character in text)
        {
            repr.Append(
                character switch
                {
                    '\\' => "\\\\",
                    '\n' => "\\n",
                    '\r' => "\\r",
                    '\t' => "\\t",
                    _ when character == quote => $"\\{character}",
                    < ' ' or '\x7f' => $"\\x{(int)character:x2}",
                    _ => character.ToString(),
                }
            );
        }

        return repr.Append(quote).ToString();
    }
}
