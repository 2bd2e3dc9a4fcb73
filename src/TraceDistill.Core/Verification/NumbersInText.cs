using System.Text.RegularExpressions;

namespace TraceDistill.Core.Verification;

/// <summary>Finds numbers in prose.</summary>
static class NumbersInText
{
    /// <summary>Most characters before the number of a statement that is more than a number.</summary>
    const int MaxLead = 40;

    /// <summary>Most characters behind the last number that are searched for more that is said.</summary>
    const int Tail = 400;

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    // What a number is the bound, the factor or the count of is not the number.
    static readonly Regex Limits = new(
        @"(?:[<>≤≥≠]|\\[lg]e|\\[lg]t|\\neq?|(?:^|[^\p{L}])(?:divisible by|multiples? of|factors? of|powers? of|at least|at most|no more than|(?:more|less|fewer|greater|larger|smaller) than"
        + @"|or equal to|up to|between|above|below|exceeds?|case|step|mod|modulo))[ $*]*$",
        Linear | RegexOptions.IgnoreCase);

    // A sentence that asks, supposes or compares does not state a result.
    static readonly Regex Doubts = new(
        @"\?|(?:^|[^\p{L}])(?:suppose|assume|let|if|whether|test|try|check|cases?|would|could|might|maybe|perhaps|possibly|(?:more|less|fewer|greater) than)(?:[^\p{L}]|$)",
        Linear | RegexOptions.IgnoreCase);

    // Another clause behind the number, or an alternative.
    static readonly Regex GoesOn = new(@"^[^\n.?]{0,80}?(?:,? (?:but|or|and I|so I|which is not)(?: |$)|, (?:\w+ ){2,}\w+ ?\w*|\.\.\.|…|\? ?\p{L})", Linear);

    static readonly Regex Numbers = new(
        @"-?\\[dt]?frac\{-?\d+\}\{\d+\}|[-+−]?\\?[$€£]?(?:\d{1,2}:\d{2}\b|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?|\.\d+)\\?%?", Linear);

    /// <summary>Returns whether a text asks, supposes or compares, so that what stands in it is no result.</summary>
    public static bool IsDoubt(string text) => Doubts.IsMatch(text);

    /// <summary>The number that a phrase begins with, after a few words at most; a number that is calculated with is not the answer.</summary>
    public static string? Leading(string text)
    {
        if (Find(text).FirstOrDefault() is not (var start, { } number))
        {
            return null;
        }

        var behind = text.AsSpan(start + number.Length).TrimStart();
        var isCalculatedWith = behind.Length > 0 && "+*/^×=".Contains(behind[0], StringComparison.Ordinal);
        return start > MaxLead || text.AsSpan(0, start).Contains(':') || isCalculatedWith ? null : number;
    }

    /// <summary>Returns whether a text ends with words that make a number behind them a bound or the like.</summary>
    public static bool IsBounded(ReadOnlySpan<char> lead) => Limits.IsMatch(lead[Math.Max(0, lead.Length - MaxLead)..]);

    /// <summary>The last number of a text.</summary>
    /// <param name="isDoubtful">Whether its sentence does not say that it is the result, or says more than the number.</param>
    public static string? Last(string text, out bool isDoubtful)
    {
        isDoubtful = false;
        if (Find(text).LastOrDefault() is not { Text: { } number } last)
        {
            return null;
        }

        var before = text.AsSpan(0, last.Index);
        before = before[(before.LastIndexOfAny('\n', ';') + 1)..];
        before = before.LastIndexOf(". ") is >= 0 and var stop ? before[(stop + 2)..] : before;
        var behind = text.AsSpan(last.Index + number.Length);
        behind = behind.IndexOf('\n') is >= 0 and var line ? behind[..line] : behind;
        behind = behind.IndexOf(". ") is >= 0 and var end ? behind[..end] : behind;
        isDoubtful = Doubts.IsMatch(before) || Doubts.IsMatch(behind) || Denial.IsIn(behind.ToString()) || behind is [var next, ..] && (char.IsLetter(next) && next < '\u2E80' || next is '^' or '!' or '_')
            || IsBounded(before) || GoesOn.IsMatch(behind[..Math.Min(behind.Length, Tail)]);
        return number;
    }

    /// <summary>Numbers that are no part of a word or of a longer one and that nothing denies.</summary>
    static IEnumerable<(int Index, string Text)> Find(string text)
    {
        foreach (Match match in Numbers.Matches(text))
        {
            var before = match.Index == 0 ? ' ' : text[match.Index - 1];
            var isPart = char.IsLetterOrDigit(before) && before < '\u2E80' || before is '_' or '.' or ',' or '/' or ':' || before == '\\';
            if (isPart && match.Value[0] is '-' or '+' or '−' && char.IsLetterOrDigit(before))
            {
                yield return (match.Index + 1, match.Value[1..]);
            }
            else if (!isPart && !Denial.IsBefore(text, match.Index))
            {
                yield return (match.Index, match.Value);
            }
        }
    }
}
