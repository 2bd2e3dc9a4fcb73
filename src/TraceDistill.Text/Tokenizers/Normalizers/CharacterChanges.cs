using System.Text;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Text.Tokenizers.Unicode;

namespace TraceDistill.Text.Tokenizers.Normalizers;

/// <summary>Normalizers that remove characters or put others in their place, one by one.</summary>
static class CharacterChanges
{
    /// <summary>Each character by itself: a sigma at the end of a word is one like the others.</summary>
    public static string Lowercase(string text, TextAlignment? alignment)
    {
        var runes = new List<ComposedRune>(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            // The only character whose small form is two: i and a dot above.
            if (rune.Value == 0x130)
            {
                runes.AddRange([new ComposedRune(new Rune('i'), 1), new ComposedRune(new Rune(0x307), 0)]);
            }
            else
            {
                runes.Add(new ComposedRune(Rune.ToLowerInvariant(rune), 1));
            }
        }

        return Write(text, runes, alignment);
    }

    public static string StripAccents(string text, TextAlignment? alignment) =>
        Change(text, alignment, rune => UnicodeTables.IsMark(rune) ? null : rune);

    /// <summary>Removes controls; line breaks, and what joins or parts words without a width, are spaces.</summary>
    public static string Nmt(string text, TextAlignment? alignment) => Change(text, alignment, rune => rune.Value switch
            {
                (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F => null,
                9 or 0xA or 0xC or 0xD or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD => new Rune(
                    ' '
                ),
                _ => rune,
            });

    /// <summary>Removes controls; white space is spaces.</summary>
    public static string BertClean(string text, TextAlignment? alignment) => Change(text, alignment, rune => UnicodeTables.IsBertControl(
                rune
            )
                ? null
            : Rune.IsWhiteSpace(rune) ? new Rune(' ')
            : rune);

    public static string BertStripAccents(string text, TextAlignment? alignment) =>
        Change(text, alignment, rune => UnicodeTables.IsNonSpacingMark(rune) ? null : rune);

    /// <summary>Puts spaces around Chinese characters.</summary>
    public static string BertSpaceChinese(string text, TextAlignment? alignment)
    {
        var (runes, space) = (new List<ComposedRune>(text.Length), new Rune(' '));
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsChinese(rune.Value))
            {
                runes.AddRange([new ComposedRune(space, 1), new ComposedRune(rune, 0), new ComposedRune(space, 0)]);
            }
            else
            {
                runes.Add(new ComposedRune(rune, 1));
            }
        }

        return Write(text, runes, alignment);
    }

    /// <summary>Removes white space from the ends of a text.</summary>
    public static TextChange Strip(bool left, bool right) =>
        (text, alignment) =>
        {
            var (start, end) = (
                left ? text.Length - text.AsSpan().TrimStart().Length : 0,
                right ? text.AsSpan().TrimEnd().Length : text.Length
            );
            if (start >= end)
            {
                return Change(text, alignment, _ => null);
            }
            if (start == 0 && end == text.Length)
            {
                return text;
            }
            var position = 0;
            return Change(text, alignment, rune =>
            {
                var at = position;
                position += rune.Utf16SequenceLength;
                return at < start || at >= end ? null : rune;
            });
        };

    static bool IsChinese(int code) =>
        code
            is (>= 0x3400 and <= 0x4DBF)
                or (>= 0x4E00 and <= 0x9FFF)
                or (>= 0xF900 and <= 0xFAFF)
                or (>= 0x20000 and <= 0x2A6DF)
                or (>= 0x2A700 and <= 0x2B81F)
                or (>= 0x2B920 and <= 0x2CEAF)
                or (>= 0x2F800 and <= 0x2FA1F);

    /// <summary>Each character as it is to be; null where it goes. What goes belongs to the character before it.</summary>
    static string Change(string text, TextAlignment? alignment, Func<Rune, Rune?> change)
    {
        var (runes, skipped) = (new List<ComposedRune>(text.Length), 0);
        foreach (var rune in text.EnumerateRunes())
        {
            if (change(rune) is { } changed)
            {
                runes.Add(new ComposedRune(changed, 1));
            }
            else if (runes.Count == 0)
            {
                skipped++;
            }
            else
            {
                runes[^1] = runes[^1] with { Replaced = runes[^1].Replaced + 1 };
            }
        }

        return Write(text, runes, alignment, skipped);
    }

    static string Write(string text, List<ComposedRune> runes, TextAlignment? alignment, int skipped = 0)
    {
        alignment?.Recompose(text, runes, skipped);
        var changed = new StringBuilder(text.Length);
        foreach (var (rune, _) in runes)
        {
            changed.Append(rune.ToString());
        }
        return changed.ToString();
    }
}
