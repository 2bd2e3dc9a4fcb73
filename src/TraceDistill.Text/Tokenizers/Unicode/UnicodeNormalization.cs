using System.Collections;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.Unicode;

/// <summary>
/// Unicode normalisation (UAX #15), for the characters that Hugging Face's tokenizers know. .NET's own
/// leaves text as it is, without a word, where globalization is invariant, as it is in this program.
/// </summary>
static class UnicodeNormalization
{
    // Hangul syllables are composed by arithmetic: UAX #15, section "Hangul".
    const int SyllableBase = 0xAC00,
        LeadBase = 0x1100,
        VowelBase = 0x1161,
        TailBase = 0x11A7;
    const int LeadCount = 19,
        VowelCount = 21,
        TailCount = 28,
        SyllableCount = LeadCount * VowelCount * TailCount;

    static readonly Dictionary<int, int[]> Decompositions = [];
    static readonly Dictionary<(int First, int Second), int> Compositions = [];
    static readonly Dictionary<int, byte> CombiningClasses = [];

    /// <summary>Characters that are not in form C, or may combine with the one before; surrogates count as such.</summary>
    static readonly BitArray Affected = new(0x10000);

    static UnicodeNormalization()
    {
        using var stream = typeof(UnicodeNormalization).Assembly.GetManifestResourceStream(
            "TraceDistill.Text.Tokenizers.Unicode.canonical.txt"
        )!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line[0] != '#')
            {
                ReadLine(line[0], line[2..].Split(' '));
            }
        }

        Affect(VowelBase, TailBase + TailCount - 1);
        Affect(0xD800, 0xDFFF);
    }

    /// <summary>The text in form C; the same instance when it is already.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="alignment">Records what was changed; null where that is not wanted.</param>
    public static string ToFormC(string text, TextAlignment? alignment = null)
    {
        foreach (var character in text)
        {
            if (Affected[character])
            {
                return Write(text, Compose(Decompose(text, isCompatible: false)), alignment);
            }
        }

        return text;
    }

    /// <summary>The text in form D.</summary>
    public static string ToFormD(string text, TextAlignment? alignment = null) =>
        IsAscii(text) ? text : Write(text, Decompose(text, isCompatible: false), alignment);

    /// <summary>The text in form KC.</summary>
    public static string ToFormKC(string text, TextAlignment? alignment = null) =>
        IsAscii(text) ? text : Write(text, Compose(Decompose(text, isCompatible: true)), alignment);

    /// <summary>The text in form KD.</summary>
    public static string ToFormKD(string text, TextAlignment? alignment = null) =>
        IsAscii(text) ? text : Write(text, Decompose(text, isCompatible: true), alignment);

    static bool IsAscii(string text) => System.Text.Ascii.IsValid(text);

    static string Write(string text, List<ComposedRune> runes, TextAlignment? alignment)
    {
        alignment?.Recompose(text, runes);
        var normalized = new StringBuilder(runes.Count);
        foreach (var (rune, _) in runes)
        {
            normalized.Append(rune.ToString());
        }
        return normalized.ToString();
    }

    static void ReadLine(char kind, string[] fields)
    {
        if (kind == 'O')
        {
            foreach (var range in fields.Skip(1))
            {
                SetClass(byte.Parse(fields[0], CultureInfo.InvariantCulture), [.. range.Split('-').Select(Hex)]);
            }
            return;
        }

        var codes = fields.Select(Hex).ToArray();
        Decompositions[codes[0]] = codes[1..];
        if (kind == 'C')
        {
            Compositions[(codes[1], codes[2])] = codes[0];
            Affect(codes[2], codes[2]);
        }
        else
        {
            Affect(codes[0], codes[0]);
        }
    }

    static int Hex(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    static void SetClass(byte combiningClass, int[] range)
    {
        for (var code = range[0]; code <= range[^1]; code++)
        {
            CombiningClasses[code] = combiningClass;
        }
        Affect(range[0], range[^1]);
    }

    static void Affect(int first, int last)
    {
        for (var code = first; code <= last && code < Affected.Length; code++)
        {
            Affected[code] = true;
        }
    }

    /// <summary>Fully decomposed code points in canonical order.</summary>
    static List<ComposedRune> Decompose(string text, bool isCompatible)
    {
        var (runes, codes) = (new List<ComposedRune>(text.Length + 16), new List<int>());
        foreach (var rune in text.EnumerateRunes())
        {
            codes.Clear();
            if (isCompatible && UnicodeTables.Compatible.TryGetValue(rune.Value, out var parts))
            {
                codes.AddRange(parts);
            }
            else
            {
                AddDecomposed(rune.Value, codes);
            }
            foreach (var (index, code) in codes.Index())
            {
                runes.Add(new ComposedRune(new Rune(code), index == 0 ? 1 : 0));
            }
        }

        for (var start = 0; start < runes.Count; start++)
        {
            var end = start;
            while (end < runes.Count && ClassOf(runes[end]) > 0)
            {
                end++;
            }
            if (end - start > 1)
            {
                SortByClass(CollectionsMarshal.AsSpan(runes)[start..end]);
            }
            start = end;
        }

        return runes;
    }

    /// <summary>Canonical order: by class, stable.</summary>
    static void SortByClass(Span<ComposedRune> marks) => marks.ToArray().OrderBy(ClassOf).ToArray().CopyTo(marks);

    static void AddDecomposed(int code, List<int> codes)
    {
        if (Decompositions.TryGetValue(code, out var parts))
        {
            foreach (var part in parts)
            {
                AddDecomposed(part, codes);
            }
        }
        else if (code - SyllableBase is var syllable && (uint)syllable < SyllableCount)
        {
            codes.Add(LeadBase + (syllable / (VowelCount * TailCount)));
            codes.Add(VowelBase + (syllable / TailCount % VowelCount));
            if (syllable % TailCount > 0)
            {
                codes.Add(TailBase + (syllable % TailCount));
            }
        }
        else
        {
            codes.Add(code);
        }
    }

    static List<ComposedRune> Compose(List<ComposedRune> decomposed)
    {
        var composed = new List<ComposedRune>(decomposed.Count);
        var starter = -1;
        foreach (var rune in decomposed)
        {
            var combiningClass = ClassOf(rune);
            // A character is blocked from its starter by one in between that is a starter or of no lower class.
            var blocked = starter < composed.Count - 1 && (ClassOf(composed[^1]) is var last && (last == 0 || last >= combiningClass));
            if (starter >= 0 && !blocked && Pair(composed[starter].Rune.Value, rune.Rune.Value) is { } pair)
            {
                composed[starter] = new ComposedRune(new Rune(pair), composed[starter].Replaced + rune.Replaced);
                continue;
            }

            if (combiningClass == 0)
            {
                starter = composed.Count;
            }
            composed.Add(rune);
        }

        return composed;
    }

    static int? Pair(int first, int second)
    {
        if (first - LeadBase is var lead && (uint)lead < LeadCount && second - VowelBase is var vowel && (uint)vowel < VowelCount)
        {
            return SyllableBase + (((lead * VowelCount) + vowel) * TailCount);
        }
        if (
            first - SyllableBase is var syllable
            && (uint)syllable < SyllableCount
            && syllable % TailCount == 0
            && second - TailBase is var tail
            && tail is > 0 and < TailCount
        )
        {
            return first + tail;
        }

        return Compositions.TryGetValue((first, second), out var composed) ? composed : null;
    }

    static byte ClassOf(ComposedRune rune) => CombiningClasses.GetValueOrDefault(rune.Rune.Value);
}
