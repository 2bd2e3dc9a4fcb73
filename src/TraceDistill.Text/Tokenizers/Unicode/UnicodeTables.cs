using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Tokenizers.Unicode;

/// <summary>
/// Properties of characters that Hugging Face's tokenizers know and .NET, with globalization invariant or of another version of Unicode,
/// does not.
/// </summary>
static class UnicodeTables
{
    static readonly Dictionary<char, (int First, int Last)[]> Ranges = [];

    /// <summary>Compatibility decompositions, where they are others than the canonical ones; whole ones, in order.</summary>
    public static readonly Dictionary<int, int[]> Compatible = [];

    static UnicodeTables()
    {
        using var stream = typeof(UnicodeTables).Assembly.GetManifestResourceStream(
            "TraceDistill.Text.Tokenizers.Unicode.compatibility.txt"
        )!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line[0] == 'K')
            {
                int[] codes = [.. line[2..].Split(' ').Select(Hex)];
                Compatible[codes[0]] = codes[1..];
            }
            else if (line[0] != '#')
            {
                Ranges[line[0]] = [.. line[2..].Split(' ').Select(range => range.Split('-')).Select(ends => (Hex(ends[0]), Hex(ends[^1])))];
            }
        }
    }

    /// <summary>Marks, spacing and enclosing ones among them.</summary>
    public static bool IsMark(Rune rune) => IsIn('M', rune);

    public static bool IsNonSpacingMark(Rune rune) => IsIn('N', rune);

    /// <summary>Returns whether BERT's cleaning removes a character: controls, private use, and the like.</summary>
    public static bool IsBertControl(Rune rune) => IsIn('X', rune);

    static bool IsIn(char table, Rune rune)
    {
        var ranges = Ranges[table];
        var (low, high) = (0, ranges.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (rune.Value < ranges[middle].First)
            {
                high = middle - 1;
            }
            else if (rune.Value > ranges[middle].Last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    static int Hex(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
