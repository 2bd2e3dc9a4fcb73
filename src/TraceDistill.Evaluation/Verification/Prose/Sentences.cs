using System.Text.RegularExpressions;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>A sentence with the place in the text where it begins.</summary>
readonly record struct Sentence(int Start, string Text)
{
    public int End => Start + Text.Length;
}

/// <summary>Parts prose with formulas into sentences.</summary>
static class Sentences
{
    // A full stop behind one of these ends no sentence.
    static readonly Regex Abbreviation = new(
        @"(?:^|[\s(])(?:e\.g|i\.e|vs|mr|mrs|ms|dr|st|approx|eq|fig|resp|z\.B|d\.h)$",
        RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase
    );

    /// <summary>Longest abbreviation, in characters, with what stands before it.</summary>
    const int MaxAbbreviation = 8;

    /// <summary>
    /// The sentences in their order, without white space around them. A displayed formula belongs to the sentence that it ends.
    /// </summary>
    public static List<Sentence> Of(string text)
    {
        var sentences = new List<Sentence>();
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (Display(text, i) is > 0 and var length)
            {
                i += length - 1;
            }
            else if (text[i] == '\n' ? !GoesOnBelow(text, start, i) : IsStop(text, i))
            {
                i = text[i] == '\n' ? i : Closing(text, i + 1) - 1;
                Add(i + 1);
            }
        }

        Add(text.Length);
        return sentences;

        void Add(int end)
        {
            var span = text.AsSpan(start, end - start);
            var trimmed = span.TrimStart();
            if (!trimmed.IsWhiteSpace())
            {
                sentences.Add(new Sentence(end - trimmed.Length, trimmed.TrimEnd().ToString()));
            }

            start = end;
        }
    }

    /// <summary>Length of the displayed formula that begins here; 0 where none does or nothing closes it.</summary>
    static int Display(string text, int at)
    {
        var close =
            text.AsSpan(at).StartsWith("$$") ? "$$"
            : text.AsSpan(at).StartsWith("\\[") ? "\\]"
            : null;
        var end = close is null ? -1 : text.IndexOf(close, at + 2, Math.Min(MaxDisplay, text.Length - at - 2), StringComparison.Ordinal);
        return end < 0 ? 0 : end + 2 - at;
    }

    /// <summary>Longest displayed formula, in characters.</summary>
    const int MaxDisplay = 1_000;

    /// <summary>
    /// Returns whether the line that ends here goes on below: it ends with a colon, or with words above a displayed formula.
    /// </summary>
    static bool GoesOnBelow(string text, int start, int at)
    {
        var line = text.AsSpan(start, at - start).TrimEnd(" \t\n*_");
        var rest = text.AsSpan(at).TrimStart();
        return line.Length > 0
            && rest.Length > 0
            && (
                line[^1] is ':' or '：' or '='
                || line[^1] is not ('.' or '!' or '?' or '。') && (rest.StartsWith("\\[") || rest.StartsWith("$$"))
            );
    }

    static bool IsStop(string text, int at)
    {
        if (text[at] is '。' or '！' or '？' or '؟' or '।')
        {
            return true;
        }

        if (text[at] is not ('.' or '!' or '?'))
        {
            return false;
        }

        var after = Closing(text, at + 1);
        if (after < text.Length && !char.IsWhiteSpace(text[after]) || IsChoice(text, at, after))
        {
            return false;
        }

        // What follows in lower case or with a sign goes on: "sq. ft.", "4! = 24".
        var next = text.AsSpan(after).TrimStart();
        var isGoingOn = next.Length > 0 && (char.IsLower(next[0]) || next[0] is '=' or '+' or '/' or '<' or '>' or ',');
        return !isGoingOn && !(text[at] == '.' && Abbreviation.IsMatch(text[Math.Max(0, at - MaxAbbreviation)..at]));
    }

    /// <summary>
    /// Returns whether a full stop parts the letter of a choice from its text:
    /// <c>is **D. 3/8**</c>, <c>is D. 3/8</c>, <c>is **D.** 3/8</c>.
    /// </summary>
    static bool IsChoice(string text, int at, int after)
    {
        if (text[at] != '.' || at == 0 || text[at - 1] is < 'A' or > 'J' || after >= text.Length || text[after] != ' ')
        {
            return false;
        }

        var lead = text.AsSpan(0, at - 1);
        var isOpened = lead.EndsWith("**") && after == at + 1;
        var next = text.AsSpan(after).TrimStart();
        return isOpened
            || next.Length > 0
                && (char.IsAsciiDigit(next[0]) || next[0] is '$' or '\\' or '-' or '−')
                && lead.TrimEnd("*_( ") is var words
                && (words.IsEmpty || words[^1] is '\n' or ':' || words.EndsWith(" is"));
    }

    /// <summary>The place behind the quotation marks, brackets and signs of emphasis that close a sentence.</summary>
    static int Closing(string text, int at)
    {
        while (at < text.Length && text[at] is '*' or '_' or '"' or '\'' or ')' or ']' or '`' or '$' or '”' or '’' or '.' or '!' or '?')
        {
            at++;
        }

        return at;
    }
}
