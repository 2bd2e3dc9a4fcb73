using System.Text.RegularExpressions;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Finds what a sentence asserts among what it says besides: reasons, remarks in brackets, what the result is not.</summary>
static class Clauses
{
    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase;

    // The clause that a conclusion is: from the last of these words on. Sums lead where a clause begins with them, restatements before a
    // number.
    static readonly Regex Leads = new(
        @"(?:^|[\s,;:(])(?<lead>so|thus|therefore|hence|consequently|finally|in conclusion|in summary|as a result|accordingly"
            + @"|it follows(?: that)?"
            + @"|(?:this|that|which) means(?: that)?|gives|yields|leaves|(?:shows?|see|find|get|obtain|conclude) that|we (?:get|find|obtain"
            + @"|conclude|are left with)"
            + @"|por (?:lo )?tanto|entonces|así que|por consiguiente|concluimos|donc|ainsi|par conséquent|finalement|daher|somit|folglich"
            + @"|insgesamt"
            + @"|deshalb|damit|also (?:ist|hat|sind|haben|kostet|beträgt|braucht|bekommt|bleiben|gibt|kann)|portanto|assim|então"
            + @"|concluímos|quindi|dunque"
            + @"|perciò|pertanto|dus|daarom|поэтому|значит|итак|следовательно|таким образом|всего|więc|zatem|razem|vậy|do đó)\b"
            + @"|(?:^|[,;:] )(?<lead>leaving|giving|altogether|overall|in total|in all|en total|au total|no total|in totale|in totaal)\b"
            + @"|(?<lead>\b(?:this|that|which) (?:is|equals|leaves|gives|makes|yields|reduces to|simplifies to))[ $*]+[-−\d.√\\]",
        Linear
    );

    static readonly Regex EastAsianLeads = new(
        "(?<lead>所以|因此|故|总共|一共|综上|したがって|よって|だから|合計|따라서|그러므로|그래서|총)",
        Linear
    );

    // Remarks in brackets, those of mathematics apart.
    static readonly Regex Brackets = new(@"\s\([^()]*\p{L}{2,}[^()]*\)", Linear);

    // "It is not 5 but 7": a number that is denied in so many words.
    static readonly Regex DeniedNumber = new(
        @"\b(?:(?:is|are|was|were) not|(?:is|are|was|were)n['’]t|not|nicht|no es|n'est pas|não é|не)\s+[$*]*[-−]?\d[\d.,/]*",
        Linear
    );

    // What it is not, and what it is compared with, up to the end.
    static readonly Regex Contrast = new(
        @"(?:,|,? and|,? und)? \b(?:rather than|instead of|as opposed to|au lieu d|en lugar de|en vez de|anstatt|statt|em vez de"
            + @"|invece di|вместо)\b.*$|, (?:and |but |und |et |y )?(?:not|nicht|non|no) .*$",
        Linear
    );

    // A relative clause between two commas, and one to the end; restatements such as "which is 3 hours" lead.
    static readonly Regex Relative = new(@", (?:who|whose|whom|which)\b[^,]*,", Linear);

    static readonly Regex TrailingRelative = new(
        @", (?:(?:\S+ )?of (?:which|whom|them|these)|who|whose|whom|where|while|whereas|namely|davon|darunter|wobei|während|qui"
            + @"|dont|de los cuales|de las cuales"
            + @"|dos quais|das quais|di cui|из которых|который|которая)\b.*$|, \S+ (?:more|less|fewer) than .*$",
        Linear
    );

    // Where the result holds, with a formula at times: "10, attained at x = 3".
    static readonly Regex Circumstance = new(@", (?:attained|reached|achieved|occurring|when|where|if)\b.*$", Linear);

    // "At x = 3 the value is 8."
    static readonly Regex Placement = new(@"\b(?:at|for|when|with|where|if) \$?\p{L}\s*=\s*[-−]?\d+(?:\.\d+)?\b\$?", Linear);

    static readonly Regex Reason = new(
        @"(?:,? \b(?:because|since|given that|weil|denn|parce que|puisque|ya que|porque|pues|pois|já que|perché|poiché|так как"
            + @"|потому что|поскольку)|, (?:as|da|car))\b.*$",
        Linear
    );

    static readonly Regex LeadingPhrase = new(
        @"^\W*(?:\p{L}+ing|since|because|as|with|after|before|at|in|on|of|for|when|given|by|using|from|to|once|among|during"
            + @"|without|out of|da|weil|wenn|como|puisque|comme|так как|при)\b",
        Linear
    );

    /// <summary>Returns whether a text has a word that leads a conclusion: so, therefore, in total.</summary>
    public static bool HasLead(string text) => Leads.IsMatch(text) || EastAsianLeads.IsMatch(text);

    /// <summary>Where the clause begins that draws the conclusion; 0 where no word leads one.</summary>
    public static int Conclusion(string sentence) =>
        Leads.Matches(sentence).Concat(EastAsianLeads.Matches(sentence)).Select(match => match.Groups["lead"].Index).DefaultIfEmpty().Max();

    /// <summary>The sentence up to what it says the result is not.</summary>
    public static string WithoutContrast(string sentence) => Contrast.Replace(sentence, "");

    /// <summary>
    /// The sentence without denied numbers and without what stands in brackets, follows a contrast or gives details and reasons.
    /// </summary>
    public static string WithoutDetails(string sentence)
    {
        var text = DeniedNumber.Replace(WithoutContrast(Brackets.Replace(sentence, "")), "");
        text = AfterLeadingPhrase(Placement.Replace(Relative.Replace(text, ""), ""));
        text = Cut(text, Circumstance, Conclusion(text));
        text = Cut(text, TrailingRelative, Math.Max(Conclusion(text), text.LastIndexOf('=')));
        text = Cut(text, Reason, Math.Max(Conclusion(text), text.LastIndexOf('=')));

        // Details behind a colon: "84 in total: 36 and 48".
        var colon = text.IndexOf(": ", StringComparison.Ordinal);
        return
            colon > Math.Max(Conclusion(text), text.LastIndexOf('='))
            && NumbersInText.Find(text[..colon]).Any(number => !NumbersInText.IsGoverned(text[..number.Index]))
            ? text[..colon]
            : text;
    }

    /// <summary>Where a reason begins; the end where none is given.</summary>
    public static int ReasonIn(string text) => Reason.Match(text) is { Success: true } reason ? reason.Index : text.Length;

    /// <summary>The text without details at its end, which stand behind a place and not at the start.</summary>
    static string Cut(string text, Regex details, int behind) =>
        details.Match(text) is { Success: true, Index: > 0 } match && match.Index > behind ? text[..match.Index] : text;

    /// <summary>The sentence behind a phrase such as <c>Adding 1/3 and 1/4,</c>, whose commas before numbers part items.</summary>
    static string AfterLeadingPhrase(string text)
    {
        if (HasLead(text) || Doubt.IsConditional(text) || !LeadingPhrase.IsMatch(text))
        {
            return text;
        }

        for (
            var comma = text.IndexOf(", ", StringComparison.Ordinal);
            comma >= 0;
            comma = text.IndexOf(", ", comma + 1, StringComparison.Ordinal)
        )
        {
            var rest = text[(comma + 2)..];
            if (
                char.IsLetter(rest.FirstOrDefault())
                && !rest.StartsWith("and ", StringComparison.Ordinal)
                && !rest.StartsWith("or ", StringComparison.Ordinal)
            )
            {
                return rest;
            }
        }

        return text;
    }
}
