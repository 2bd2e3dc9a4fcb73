using System.Text.RegularExpressions;

namespace TraceDistill.Core.Verification;

/// <summary>What the last sentence of a text concludes, where nothing calls it the answer: <c>Therefore, x = 17.</c></summary>
static class Conclusions
{
    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    // A formula, or something emphasized, that ends the sentence.
    static readonly Regex SetApart = new(
        @"(?:\*\*(?<value>[^*\n]+?)\.?\*\*|\$\$(?<value>[^$]+)\$\$|\$(?<value>[^$\n]+)\$|\\\((?<value>[^\n]+?)\\\)|\\\[(?<value>[^\[]+?)\\\])[\s.*]*$", Linear);

    // Several formulas that are one answer: $x = 1$ or $x = 4$.
    static readonly Regex Series = new(@"(?<value>\$[^$\n]+\$(?:(?:, ?|,? (?:and|or) )\$[^$\n]+\$)+)[\s.]*$", Linear);

    static readonly Regex Relation = new(
        @"(?:^|[ ,:])(?<value>\(?[\p{L}][\w']{0,2}(?:\(\w\))?\s*(?:=|<|>|≤|≥|≠|\\le|\\ge|\\ne)[^=<>≤≥≠\n]+?)[\s.]*$", Linear);

    static readonly Regex Option = new(@"\b(?:option|choice|answer) (?:is )?\(?(?<value>[A-J])\)?[\s.]*$", Linear);

    static readonly Regex Leads = new(
        @"^[\s*_#>-]*(?:so|thus|therefore|hence|consequently|finally|then|altogether|in total|it follows|we (?:get|have|find|conclude|obtain))\b"
        + @"|\b(?:is|are|equals|equal to|gives|get|find|obtain|becomes|conclude that)\b[^.]{0,40}$|[=:]\s*$",
        Linear | RegexOptions.IgnoreCase);

    static readonly Regex Begins = new(@"^[\s*_#>-]*(?:so|thus|therefore|hence|consequently|finally|it follows that|we conclude that)\b", Linear | RegexOptions.IgnoreCase);

    // Between full stops, those in numbers and abbreviations apart.
    static readonly Regex Stop = new(@"[.?!:]['""*_)]*\s", Linear);

    /// <summary>The value at the end of the last sentence; null where it draws no conclusion that is set apart, a relation or a choice.</summary>
    public static string? Last(string text)
    {
        var sentence = LastSentence(text.TrimEnd());
        if (Series.Match(sentence) is { Success: true } series && Leads.IsMatch(sentence[..series.Index]))
        {
            return series.Groups["value"].Value.Replace("$", "", StringComparison.Ordinal);
        }

        if (SetApart.Match(sentence) is { Success: true } apart && apart.Index > 0)
        {
            var lead = sentence[..apart.Index];
            return Leads.IsMatch(lead) && !NumbersInText.IsBounded(lead) && !Denial.IsBefore(lead, lead.Length) ? Statements.Value(apart.Groups["value"].Value) : null;
        }

        if (Option.Match(sentence) is { Success: true } option && !Denial.IsIn(sentence))
        {
            return option.Groups["value"].Value;
        }

        return Begins.IsMatch(sentence) && Relation.Match(sentence) is { Success: true } relation && Statements.IsAnswer(relation.Groups["value"].Value.Trim())
            ? relation.Groups["value"].Value.Trim() : null;
    }

    /// <summary>The last sentence, with the displayed formula that ends it.</summary>
    static string LastSentence(string text)
    {
        var from = 0;
        if (text.EndsWith("\\]", StringComparison.Ordinal) || text.EndsWith("$$", StringComparison.Ordinal))
        {
            // The sentence stands above its formula.
            var open = text[..^2].LastIndexOf(text.EndsWith('$') ? "$$" : "\\[", StringComparison.Ordinal);
            var above = open < 0 ? "" : text[..open].TrimEnd();
            from = above.LastIndexOf('\n') + 1;
        }
        else
        {
            from = text.LastIndexOf('\n') + 1;
        }

        var line = text[from..];
        var formula = line.IndexOfAny(['$', '\\']);
        var prose = formula < 0 ? line : line[..formula];
        return Stop.Matches(prose).LastOrDefault(stop => stop.Value[0] != ':') is { } last ? line[(last.Index + last.Length)..] : line;
    }
}
