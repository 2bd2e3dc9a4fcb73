using System.Text.RegularExpressions;

namespace TraceDistill.Core.Verification;

/// <summary>Compares answers as written: LaTeX, money signs, units, spaces and the ways to write a number make no difference.</summary>
public static partial class AnswerText
{
    /// <summary>
    /// Whether two answers are the same: as exact rational numbers where both are numbers, as lists of numbers and words otherwise.
    /// </summary>
    public static bool AreEqual(string first, string second)
    {
        var (a, b) = (Normalise(first), Normalise(second));
        if (a == b)
            return true;
        if (Rational.TryParse(a, out var x) && Rational.TryParse(b, out var y))
            return x == y;
        var (left, right) = (Parts(a), Parts(b));
        return left.Length > 1 && left.Length == right.Length && left.Zip(right).All(pair => PartsAreEqual(pair.First, pair.Second));
    }

    /// <summary>
    /// The answer in lower case without what only dresses it: dollar signs of mathematics or money, LaTeX spacing and text commands,
    /// percent and degree signs, emphasis, everything up to an equals sign, and the final period.
    /// </summary>
    internal static string Normalise(string text)
    {
        var plain = text.ToLowerInvariant().Replace('\u2212', '-').Replace("\\dfrac", "\\frac").Replace("\\tfrac", "\\frac");
        plain = TextCommand().Replace(plain, "${content}");
        plain = Dress().Replace(plain, "");
        plain = Spacing().Replace(plain, " ").Trim().TrimEnd('.', ',', ';', '!').Trim();
        return plain[(plain.LastIndexOf('=') + 1)..].Trim();
    }

    /// <summary>Whether an answer needs algebra to be compared: LaTeX, powers, or letters calculated with.</summary>
    internal static bool IsExpression(string text)
    {
        var plain = Normalise(text);
        return !Rational.TryParse(plain, out _) && Expression().IsMatch(plain);
    }

    static bool PartsAreEqual(string a, string b) => a == b || Rational.TryParse(a, out var x) && Rational.TryParse(b, out var y) && x == y;

    static string[] Parts(string text) => ListSeparator().Split(text);

    [GeneratedRegex(@"\\(?:text|mbox|mathrm|textbf|mathbf)\s*\{(?<content>[^{}]*)\}")]
    private static partial Regex TextCommand();

    [GeneratedRegex(@"\\left|\\right(?!arrow)|\\[!,;:]|\\?[$%]|[€£¥]|\^\{?\\circ\}?|°|\*\*|[`""]|\\[()\[\]]")]
    private static partial Regex Dress();

    [GeneratedRegex(@"(?:\s|~|\\ |\\quad)+")]
    private static partial Regex Spacing();

    // A comma followed by exactly three digits may belong to a number.
    [GeneratedRegex(@",? +|,(?!\d{3}(?!\d))")]
    private static partial Regex ListSeparator();

    [GeneratedRegex(@"[\\^_{}]|\b[a-z]\b\s*[-+*/(]|[-+*/]\s*\b[a-z]\b|\d[a-z]\b")]
    private static partial Regex Expression();
}
