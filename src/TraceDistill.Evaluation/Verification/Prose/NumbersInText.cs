using System.Text.RegularExpressions;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>A number in prose.</summary>
/// <param name="Text">It as written, with its sign, currency and percent sign.</param>
readonly record struct NumberInText(int Index, string Text)
{
    public int End => Index + Text.Length;

    /// <summary>Its digits without dress, by which spellings of one number are alike.</summary>
    public string Digits
    {
        get
        {
            var digits = Text.Replace("$", "")
                .Replace("€", "")
                .Replace("£", "")
                .Replace("\\", "")
                .Replace(",", "")
                .TrimStart('+', '-', '−')
                .TrimEnd('%');
            return digits.Contains('.', StringComparison.Ordinal) ? digits.TrimEnd('0').TrimEnd('.') : digits;
        }
    }
}

/// <summary>Finds numbers in prose.</summary>
static class NumbersInText
{
    /// <summary>Most characters beside a number that are looked at.</summary>
    const int MaxLead = 40;

    /// <summary>Units of one letter that prose parts from their number.</summary>
    const string Letters = "gmLlhsNJWV";

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    // What a number is the bound, the factor, the count or the label of is not the number.
    static readonly Regex Governing = new(
        @"(?:[<>≤≥≠#]|\p{L}\(|\b(?:log|ln|lg|sin|cos|tan)\S*|\\[lg]eq?|\\[lg]t|\\neq?|(?:^|[^\p{L}])(?:by|from|than|into|among"
            + @"|against|per|every|between|versus|vs\.?|or equal to|up to|above|below|exceeds?"
            + @"|at least|at most|all but|mod|modulo|of|(?:one|two|three|four|five|\d+) (?:in|out of)|the|this|that|these|those|his|her"
            + @"|its|their"
            + @"|our|my|of (?:the|these|those|his|her|its|their|all|only|every)|the (?:first|last|other|next)|the \w+st|all|both|question"
            + @"|page|step|case|part|day|week"
            + @"|month|year|room|chapter|problem|exercise|grade|figure|table|equation|option|version|level|row|column|term|line|stage"
            + @"|method|example|factors?"
            + @"|multiples?))[ $*(]*$",
        Linear | RegexOptions.IgnoreCase
    );

    // A 25% increase; in other languages "a" is no article.
    static readonly Regex Article = new(@"\ban?[ $*(]*$", Linear | RegexOptions.IgnoreCase);

    // A total of 5 is 5, and one of 5 is not.
    static readonly Regex Measured = new(
        @"\b(?:total|sum|average|mean|median|mode|profit|cost|price|loss|distance|speed|rate|area|volume|length|perimeter|value"
            + @"|result|amount|maximum|minimum|balance"
            + @"|height|width|weight|age|probability|difference|product|quotient|score|temperature|salary|income|earnings|mass|angle"
            + @"|discount|tax|tip|change|revenue"
            + @"|number|count|answer|gain|bill|fee|charge|payment|savings?|budget|capacity|radius|diameter|depth|size|time|fraction"
            + @"|percentage|ratio|raise|debt|deposit"
            + @"|interest|remainder|surplus|deficit|rent|wage|pay|solution|root) of[ $*(]*$",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex Predicates = new(
        @"\b(?:is|are|was|equals|equal to|be|gives|yields|ist|est|es|é|è)[ $*(]*$",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex Circumstances = new(
        @"(?:^|[^\p{L}])(?:in|for|at|with|with \p{L}+|after|before|on|during|to|over|within|under|about|when|if|since|until"
            + @"|and then|the|these"
            + @"|those|his|her|its|their)[ $*(]*$",
        Linear | RegexOptions.IgnoreCase
    );

    // 5 in 9, 2 out of 5: a fraction.
    static readonly Regex Chance = new(@"^ (?:in|out of) \d", Linear);

    static readonly Regex Numbers = new(
        @"-?\\[dt]?frac\{-?\d+\}\{\d+\}|[-+−]?\\?[$€£]?(?:\d{1,2}:\d{2}\b|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?" + @"|\.\d+)\\?%?",
        Linear
    );

    // A half of the day, or a word with its power and what it is counted in: cm², km/h, meters per second.
    static readonly Regex Unit = new(
        @"^[ ~-]?(?<unit>[ap]\.m\.|(?<word>\p{L}+)(?:[²³]|\^\d\b)?(?:(?:/| per )\p{L}+(?:[²³]|\^\d\b)?)?)",
        Linear
    );

    /// <summary>The first number of a text; null where it has none.</summary>
    public static NumberInText? First(string text) => Find(text).Cast<NumberInText?>().FirstOrDefault();

    /// <summary>Returns whether a text ends with words that make a number behind them a bound, a label or the like.</summary>
    public static bool IsGoverned(string lead)
    {
        var end = lead.Length > MaxLead ? lead[^MaxLead..] : lead;
        return Governing.IsMatch(end) && !Measured.IsMatch(end) || Article.IsMatch(end) && Doubt.IsEnglish(lead);
    }

    /// <summary>Returns whether a text ends with a verb whose object a number behind it is: <c>equals</c>, <c>is</c>.</summary>
    public static bool IsPredicate(string lead) => Predicates.IsMatch(lead.Length > MaxLead ? lead[^MaxLead..] : lead);

    /// <summary>
    /// Returns whether a text ends with a preposition that makes a number behind it a circumstance where another number is said.
    /// </summary>
    public static bool IsCircumstance(string lead) => Circumstances.IsMatch(lead.Length > MaxLead ? lead[^MaxLead..] : lead);

    /// <summary>
    /// Returns whether a sign behind a number makes it a part of a formula: of <c>5 + x</c>, <c>5x</c>, <c>5!</c>, <c>5^2</c>,
    /// <c>5th</c>.
    /// </summary>
    public static bool IsCalculatedWith(string text, NumberInText number)
    {
        var behind = text.AsSpan(number.End);
        if (behind.Length == 0)
        {
            return false;
        }

        if (char.IsLetter(behind[0]) && behind[0] < '\u2E80')
        {
            return WithUnit(text, number) == number.Text;
        }

        var next = behind.TrimStart(" ~");
        return PlainCharacters.Superscripts.Contains(behind[0], StringComparison.Ordinal)
            || Chance.IsMatch(behind)
            || behind[0] is '^' or '_' or '\\' or '(' or '!'
            || behind[0] == ':' && behind.Length > 1 && char.IsAsciiDigit(behind[1])
            || next.Length > 1
                && (
                    next[0] is '+' or '×' or '÷' or '·' or '^' or '='
                    || next[0] == '/' && !char.IsLetter(next[1])
                    || next[0] == '*' && next[1] != '*' && behind[0] == ' '
                    || next[0] is '-' or '−' && (next[1] == ' ' || char.IsAsciiDigit(next[1]))
                    || next.StartsWith("fewer")
                    || next.StartsWith("less")
                    || next.StartsWith("mod")
                    || next.StartsWith("to ") && next.Length > 3 && char.IsAsciiDigit(next[3])
                    || next.StartsWith("\\times")
                    || next.StartsWith("\\cdot")
                );
    }

    /// <summary>A number with the unit of measurement, the scale word or the half of the day that stands behind it.</summary>
    public static string WithUnit(string text, NumberInText number)
    {
        var rest = text[number.End..Math.Min(text.Length, number.End + MaxLead)];
        if (Unit.Match(rest) is not { Success: true } match)
        {
            return number.Text;
        }

        // A compound that is not known, apples per day, leaves its first word, which may be.
        var (unit, word) = (match.Groups["unit"].Value, match.Groups["word"].Value);
        var known =
            IsKnown(unit, rest[0] == ' ') ? unit
            : IsKnown(word, rest[0] == ' ') ? word
            : null;
        var isPrice = number.Text.AsSpan().ContainsAny("$€£") && NumberWords.Scale(known ?? "") is null;
        return known is null || isPrice
            ? number.Text
            : $"{number.Text} {known.Replace("²", "^2", StringComparison.Ordinal).Replace("³", "^3", StringComparison.Ordinal)}";
    }

    /// <summary>
    /// Returns whether words behind a number are a unit, a scale or a half of the day; single letters only behind a space.
    /// </summary>
    static bool IsKnown(string unit, bool isSpaced) =>
        unit.ToLowerInvariant() is "am" or "pm" or "a.m." or "p.m." or "percent"
        || NumberWords.Scale(unit) is not null
        || (unit.Length > 1 || unit.Length == 1 && isSpaced && Letters.Contains(unit[0], StringComparison.Ordinal))
            && unit != "in"
            && Data.Answers.Notation.Unit.Read(
                unit.Replace("²", "^2", StringComparison.Ordinal).Replace("³", "^3", StringComparison.Ordinal)
            )
                is { Dimensions: not null };

    /// <summary>Numbers that are no part of a word or of a longer one and that nothing denies.</summary>
    public static IEnumerable<NumberInText> Find(string text)
    {
        foreach (Match match in Numbers.Matches(text))
        {
            var before = match.Index == 0 ? ' ' : text[match.Index - 1];
            var isPart = char.IsLetterOrDigit(before) && before < '\u2E80' || before is '_' or '.' or ',' or '/' or ':' || before == '\\';
            if (isPart && match.Value[0] is '-' or '+' or '−' && char.IsLetterOrDigit(before))
            {
                yield return new(match.Index + 1, match.Value[1..]);
            }
            else if (!isPart && !Denial.IsBefore(text, match.Index))
            {
                yield return new(match.Index, match.Value);
            }
        }
    }
}
