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
        if (Compact(a) == Compact(b))
            return true;
        if (Rational.TryParse(a, out var x) && Rational.TryParse(b, out var y))
            return x == y;
        var (left, right) = (Parts(a), Parts(b));
        return left.Length > 1 && left.Length == right.Length && left.Zip(right).All(pair => PartsAreEqual(pair.First, pair.Second));
    }

    /// <summary>
    /// The answer in lower case without what only dresses it: dollar signs of mathematics or money, LaTeX spacing and text commands,
    /// percent and degree signs, emphasis, the left side of an equation, and the final period.
    /// </summary>
    internal static string Normalise(string text)
    {
        var plain = text.ToLowerInvariant().Replace('\u2212', '-').Replace("\u00B2", "^2").Replace("\u00B3", "^3").Replace("{,}", ",");
        plain = ShortFraction().Replace(plain.Replace("\\dfrac", "\\frac").Replace("\\tfrac", "\\frac"), @"\frac{${above}}{${below}}");
        plain = TextCommand().Replace(plain, "${content}");
        plain = Dress().Replace(plain, "");
        plain = Spacing().Replace(plain, " ").Trim().TrimEnd('.', ',', ';', '!').Trim();
        return NegativeNumerator().Replace(RightSide(plain), @"-\frac{");
    }

    /// <summary>The text without the spaces that part nothing, those beside a sign: <c>x+1</c> for <c>x + 1</c>.</summary>
    internal static string Compact(string text) => IdleSpace().Replace(text, "");

    /// <summary>What stands behind the last equals sign. Inequalities and lists of equations are answers as a whole.</summary>
    internal static string RightSide(string text)
    {
        var equals = text.LastIndexOf('=');
        return equals < 0 || Inequality().IsMatch(text) || ListOfEquations().IsMatch(text) ? text : text[(equals + 1)..].Trim();
    }

    /// <summary>Whether an answer needs algebra to be compared: LaTeX, powers, or letters calculated with.</summary>
    internal static bool IsExpression(string text)
    {
        var plain = Normalise(text);
        return !Rational.TryParse(plain, out _) && Expression().IsMatch(plain);
    }

    static bool PartsAreEqual(string a, string b) => a == b || Rational.TryParse(a, out var x) && Rational.TryParse(b, out var y) && x == y;

    static string[] Parts(string text) => ListSeparator().Split(text);

    [GeneratedRegex(@"\\frac ?(?<above>\d) ?(?<below>\d)")]
    private static partial Regex ShortFraction();

    [GeneratedRegex(@"^\\frac\{-")]
    private static partial Regex NegativeNumerator();

    [GeneratedRegex(@"\\(?:text|mbox|mathrm|textbf|mathbf)\s*\{(?<content>[^{}]*)\}")]
    private static partial Regex TextCommand();

    [GeneratedRegex(@"\\left(?!arrow)|\\right(?!arrow)|\\[!,;:]|\\?[$%]|[€£¥]|\^\{?\\circ\}?|°|\*\*|[`""]|\\[()\[\]]")]
    private static partial Regex Dress();

    [GeneratedRegex(@"(?:\s|~|\\ |\\quad)+")]
    private static partial Regex Spacing();

    [GeneratedRegex("(?<![a-zA-Z0-9]) | (?![a-zA-Z0-9])")]
    private static partial Regex IdleSpace();

    [GeneratedRegex(@"[<>!≤≥≠]|\\(?:le|ge|ne|lt|gt)")]
    private static partial Regex Inequality();

    [GeneratedRegex(@"=.*(?:,(?!\d{3}(?!\d))|;|\b(?:and|or)\b).*=")]
    private static partial Regex ListOfEquations();

    // A comma followed by exactly three digits may belong to a number.
    [GeneratedRegex(@",? +|,(?!\d{3}(?!\d))")]
    private static partial Regex ListSeparator();

    [GeneratedRegex(@"[\\^_{}]|\b[a-z]\b\s*[-+*/(]|[-+*/]\s*\b[a-z]\b|\d[a-z]\b")]
    private static partial Regex Expression();
}
