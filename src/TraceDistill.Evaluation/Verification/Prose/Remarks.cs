using System.Text.RegularExpressions;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Remarks that models write behind a result: courtesies, checks, second thoughts.</summary>
static class Remarks
{
    /// <summary>Sentences behind a result in which a plain "not" is likely to be about it.</summary>
    const int Near = 2;

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase;

    static readonly Regex Courtesies = new(
        @"\b(?:hope|helps?|helpful|let me know|feel free|you|your|thanks?|thank|happy to|glad|good luck|best regards|cheers)\b",
        Linear
    );

    static readonly Regex Offers = new(@"^\W*(?:let me know|feel free|would you like|do you want|please (?:let|ask|feel))\b", Linear);

    static readonly Regex Checks = new(
        @"^\W*(?:(?:let['’]?s|let us|let me|we can|we|to|i|quick|now|sanity|final)\b[ -]*)*(?:double[ -]?)?(?:check(?:ing|s)?"
            + @"|verif(?:y|ied|ying|ication)|proof|confirm(?:ing|s)?|indeed)\b"
            + @"|[✓✔☑✅]\W*$|^\W*[✓✔☑][^=]*="
            + @"|\\checkmark|\b(?:checks out|as required|as expected|which matches|is consistent|this matches|this confirms"
            + @"|this satisfies|is satisfied)\b",
        Linear
    );

    // A sentence that breaks off here was cut.
    static readonly Regex Dangling = new(
        @"(?:\b(?:and|or|is|are|was|were|the|a|an|of|so|to|then|that|but|with|by|for|in|on|because|since|which|if|as|at|from|than"
            + @"|not|has|have|she|he|it|they|we|i)|[,=+(])$",
        Linear
    );

    // (The complement has probability 25/36.)
    static readonly Regex Bracketed = new(@"^\(\p{L}+ [^()]*(?:\([^()]*\)[^()]*)*\)\W*$", Linear);

    /// <summary>Returns whether a sentence is a courtesy, stands in brackets or repeats the result to check it.</summary>
    public static bool IsAside(string sentence) => IsCourtesy(sentence) || Checks.IsMatch(sentence) || Bracketed.IsMatch(sentence);

    /// <summary>Returns whether a text ends within a sentence.</summary>
    public static bool IsCut(string text) => Dangling.IsMatch(text.TrimEnd());

    /// <summary>Returns whether what stands behind a result may take it back.</summary>
    public static bool TakeBack(string text)
    {
        var near = 0;
        foreach (var (_, sentence) in Sentences.Of(text))
        {
            if (
                !IsCourtesy(sentence)
                && (Doubt.IsRetraction(sentence) || ++near <= Near && (Denial.IsIn(sentence) || Doubt.IsGuess(sentence)))
            )
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Returns whether what stands behind a value goes on working, asking or telling.</summary>
    public static bool GoOn(string text) => Sentences.Of(text).Any(sentence => !IsAside(sentence.Text) && Doubt.IsIn(sentence.Text));

    static bool IsCourtesy(string sentence) =>
        Offers.IsMatch(sentence) || Courtesies.IsMatch(sentence) && !sentence.Any(char.IsAsciiDigit) && !Doubt.IsRetraction(sentence);
}
