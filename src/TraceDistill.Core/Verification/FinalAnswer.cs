using System.Text.RegularExpressions;
using TraceDistill.Core.Generation;

namespace TraceDistill.Core.Verification;

/// <summary>Finds the final answer in what a model wrote.</summary>
public static partial class FinalAnswer
{
    /// <summary>Longest text, in characters and words, that is taken for an answer as a whole.</summary>
    const int MaxShortLength = 60, MaxShortWords = 6, MaxPlainWords = 4;

    const string Boxed = @"\boxed";

    /// <summary>
    /// The answer by the first of these that the text has: the last <c>\boxed{…}</c>, the last <c>#### …</c> that is no headline, the last
    /// statement such as <c>the answer is …</c> or <c>A: …</c>, the whole text where it is short, the last number. Reasoning up to
    /// <c>&lt;/think&gt;</c> is passed over.
    /// </summary>
    /// <returns>The answer as written, or null where there is none or where the text ends within the reasoning.</returns>
    public static string? Find(string text)
    {
        if (AfterReasoning(text) is not { } answer)
            return null;
        return LastBoxed(answer)
            ?? LastMarked(answer)
            ?? LastStated(answer)
            ?? (IsAnswer(answer.Trim()) ? answer.Trim() : null)
            ?? Numbers().Matches(answer).LastOrDefault()?.Value;
    }

    static string? AfterReasoning(string text)
    {
        var end = text.LastIndexOf(ReasoningSplitter.Close, StringComparison.Ordinal);
        if (end >= 0)
            return text[(end + ReasoningSplitter.Close.Length)..];
        return text.Contains(ReasoningSplitter.Open, StringComparison.Ordinal) ? null : text;
    }

    static string? LastBoxed(string text)
    {
        var start = text.LastIndexOf(Boxed, StringComparison.Ordinal);
        if (start < 0)
            return null;
        var rest = text[(start + Boxed.Length)..].TrimStart();
        if (!rest.StartsWith('{'))
            return NullIfBlank(rest.Split([' ', '\n', '$'], 2)[0]);
        var depth = 0;
        for (var i = 0; i < rest.Length; i++)
        {
            if (rest[i] == '\\')
                i++;    // \{ and \} are text
            else if (rest[i] == '{')
                depth++;
            else if (rest[i] == '}' && --depth == 0)
                return NullIfBlank(rest[1..i]);
        }

        return null;
    }

    /// <remarks>The mark of GSM8K is also Markdown's of a headline: those have text below them and do not begin with the answer.</remarks>
    static string? LastMarked(string text) =>
        Marks().Matches(text).LastOrDefault(mark => text.AsSpan(mark.Index + mark.Length).IsWhiteSpace() || IsNumericAnswer(mark.Groups["answer"].Value.Trim())) is { } last
            ? NullIfBlank(last.Groups["answer"].Value)
            : null;

    static bool IsNumericAnswer(string text) => IsAnswer(text) && BeginsWithNumber().IsMatch(text) && !NumberedHeadline().IsMatch(text);

    static string? LastStated(string text)
    {
        var statement = Statements().Matches(text).LastOrDefault()?.Groups["answer"].Value;
        if (statement is null)
            return null;
        var sentence = SentenceEnd().Split(statement, 2)[0].Trim(' ', '*', '_', '`', '"');
        var value = AnswerText.RightSide(sentence);
        if (value.IndexOf(" (", StringComparison.Ordinal) is > 0 and var aside)
            value = value[..aside];
        return IsAnswer(value) ? value : Numbers().Match(value) is { Success: true } number ? number.Value : null;
    }

    /// <summary>Whether the text is an answer as a whole: a number, a formula, one word, a few words without digits, or a short line that begins with a number.</summary>
    static bool IsAnswer(string text)
    {
        if (text.Length is 0 or > MaxShortLength || text.Contains('\n'))
            return false;
        if (Formula().IsMatch(text) || Rational.TryParse(AnswerText.Normalise(text), out _))
            return true;
        var words = AnswerText.Compact(text).Split(' ').Length;
        return text.Any(char.IsAsciiDigit)
            ? words == 1 || words <= MaxShortWords && BeginsWithNumber().IsMatch(text)
            : words <= MaxPlainWords;
    }

    static string? NullIfBlank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();

    [GeneratedRegex(@"####[ \t]*(?<answer>[^\n]+)")]
    private static partial Regex Marks();

    [GeneratedRegex(@"^\d+\.\s+\p{L}")]
    private static partial Regex NumberedHeadline();

    // The answer stands in a look-ahead so that one statement does not swallow a later one of the same line.
    [GeneratedRegex(@"(?:\banswer\b(?:[^\n.:=]{0,60}?\bis\b:?|[\s*_]*(?:\([^\n()]*\))?[\s*_]*[:=])|^[ \t]*A:)(?=[\s*_]*(?<answer>[^\n]+))", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex Statements();

    [GeneratedRegex(@"^(?:\$[^$]+\$|\\\((?:(?!\\\)).)+\\\))$")]
    private static partial Regex Formula();

    [GeneratedRegex(@"[.!?](?:\s|$)")]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(@"^[-+(\[$€£\\.]*\d")]
    private static partial Regex BeginsWithNumber();

    [GeneratedRegex(@"(?<![\w.,/:])-?\\[dt]?frac\{-?\d+\}\{\d+\}|(?<![\w.,/:])[-+]?[$€£]?(?:\d{1,2}:\d{2}\b|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?|\.\d+)%?")]
    private static partial Regex Numbers();
}
