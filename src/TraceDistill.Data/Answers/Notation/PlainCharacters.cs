using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>Spells characters in one way each.</summary>
static class PlainCharacters
{
    /// <summary>
    /// Stands for a comma within a number: it parts thousands where three digits follow each time, else it is the decimal point.
    /// </summary>
    public const char Thousands = '\uE000';

    /// <summary>Signs of an exponent, in the order of <see cref="Raised"/>.</summary>
    public const string Superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ";

    const string Raised = "0123456789+-n";

    static readonly FrozenDictionary<char, string> Characters = new Dictionary<char, string>
    {
        ['−'] = "-",
        ['–'] = "-",
        ['—'] = "-",
        ['‐'] = "-",
        ['‑'] = "-",
        ['×'] = "\\times ",
        ['·'] = "\\cdot ",
        ['⋅'] = "\\cdot ",
        ['∙'] = "\\cdot ",
        ['÷'] = "\\div ",
        ['√'] = "\\sqrt ",
        ['π'] = "\\pi ",
        ['∞'] = "\\infty ",
        ['≤'] = "\\le ",
        ['≥'] = "\\ge ",
        ['⩽'] = "\\le ",
        ['⩾'] = "\\ge ",
        ['≠'] = "\\ne ",
        ['≈'] = "\\approx ",
        ['±'] = "\\pm ",
        ['∓'] = "\\mp ",
        ['∪'] = "\\cup ",
        ['∩'] = "\\cap ",
        ['∈'] = "\\in ",
        ['°'] = "\\circ ",
        ['º'] = "\\circ ",
        ['∅'] = "\\emptyset ",
        ['½'] = "\\frac{1}{2}",
        ['⅓'] = "\\frac{1}{3}",
        ['⅔'] = "\\frac{2}{3}",
        ['¼'] = "\\frac{1}{4}",
        ['¾'] = "\\frac{3}{4}",
        ['、'] = ",",
        ['⟨'] = "\\langle ",
        ['⟩'] = "\\rangle ",
        ['∠'] = "\\angle ",
        ['△'] = "\\triangle ",
        ['ℝ'] = "\\mathbb{R}",
        ['\u00A0'] = "~",
        ['\u202F'] = "~",
        ['\u2009'] = "~",
        ['’'] = "'",
        ['′'] = "'",
        ['“'] = "",
        ['”'] = "",
        ['"'] = "",
        ['`'] = "",
        ['。'] = ".",
        ['⌊'] = "\\lfloor ",
        ['⌋'] = "\\rfloor ",
        ['⌈'] = "\\lceil ",
        ['⌉'] = "\\rceil ",
        ['∣'] = "|",
        ['€'] = "\\text{euro}",
        ['£'] = "\\text{pound sterling}",
        ['¥'] = "\\text{yen}",
        ['₂'] = "_{2}",
        ['₁'] = "_{1}",
        ['₃'] = "_{3}",
        ['₈'] = "_{8}",
        ['\u2061'] = "",
        ['\u200B'] = "",
        ['\uFEFF'] = "",
    }.ToFrozenDictionary();

    /// <summary>
    /// The text with one spelling for each character: ASCII where there is one, LaTeX for signs of mathematics, digits of every script.
    /// </summary>
    public static string Of(string text)
    {
        var plain = new StringBuilder(text.Length);
        var isRaised = false;
        foreach (var character in text)
        {
            var exponent = Superscripts.IndexOf(character, StringComparison.Ordinal);
            if (isRaised != exponent >= 0)
            {
                isRaised = exponent >= 0;
                plain.Append(isRaised ? "^{" : "}");
            }

            if (isRaised)
            {
                plain.Append(Raised[exponent]);
            }
            else if (Characters.TryGetValue(character, out var spelling))
            {
                plain.Append(spelling);
            }
            else if (character is >= '！' and <= '～')
            {
                plain.Append((char)(character - '！' + '!'));
            }
            else
            {
                plain.Append(CharUnicodeInfo.GetDecimalDigitValue(character) is >= 0 and var digit ? (char)('0' + digit) : character);
            }
        }

        return plain
            .Append(isRaised ? "}" : "")
            .Replace("{,}", $"{Thousands}")
            .Replace(",\\!", $"{Thousands}")
            .Replace("{:}", ":")
            .Replace("**", "^")
            .ToString();
    }
}
