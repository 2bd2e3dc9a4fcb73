using System.Text.RegularExpressions;
using TraceDistill.Core.Generation;

namespace TraceDistill.Core.Verification;

/// <summary>Where in a text an answer was found.</summary>
enum AnswerPlace
{
    /// <summary>In a box or behind a mark: set apart as the answer.</summary>
    Marked,

    /// <summary>The text is nothing else.</summary>
    Whole,

    /// <summary>In a sentence that calls it the answer.</summary>
    Stated,

    /// <summary>It is the last number of a text that names no answer.</summary>
    LastNumber,

    /// <summary>As <see cref="LastNumber"/>, in a sentence that does not make it the result.</summary>
    Mentioned,
}

/// <summary>Finds the final answer in what a model wrote, in time linear in its length.</summary>
/// <remarks>
/// Boxes are looked for in the whole text: a model may go on for pages behind one. Everything else (marks, statements, numbers) is looked for in
/// the last <see cref="Tail"/> characters, where answers stand that nothing sets apart.
/// </remarks>
public static class FinalAnswer
{
    /// <summary>Longest end of a text, in characters, that decides where there is no box.</summary>
    public const int Tail = 4_000;

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    static readonly Regex Marks = new(@"####[ \t]*(?<answer>[^\n]+)", Linear);

    static readonly Regex NumberedHeadline = new(@"^\d+\.\s+\p{L}", Linear);

    /// <summary>
    /// The answer by the first of these that the text has: a last line that is labelled as the answer, the last box (or the last boxes, where only
    /// commas stand between them), the last <c>#### …</c> that is no headline, the last statement such as <c>the answer is …</c> or <c>A: …</c>,
    /// what the last sentence concludes (<c>therefore, x = 17.</c>), the whole text where it is short and supposes nothing, the last number. Reasoning up
    /// to <c>&lt;/think&gt;</c> is passed over. Where the last box is empty or not closed, only a statement counts.
    /// </summary>
    /// <returns>The answer as written, or null where there is none or where the text ends within the reasoning.</returns>
    public static string? Find(string text) => Locate(text)?.Answer;

    internal static (string Answer, AnswerPlace Place)? Locate(string text)
    {
        if (AfterReasoning(text) is not { } answer)
        {
            return null;
        }

        var boxes = AnswerBoxes.Last(answer, out var end, out var isVoid);
        var tail = answer.Length > Tail ? answer[^Tail..] : answer;
        if (boxes is not null || isVoid)
        {
            if (Statements.LabelledLine(answer[Math.Max(end, answer.Length - Tail)..]) is { } labelled)
            {
                return (labelled, AnswerPlace.Stated);
            }

            return boxes is not null ? (boxes, AnswerPlace.Marked) : Statements.Last(tail) is { } stated ? (stated, AnswerPlace.Stated) : null;
        }

        if (LastMarked(tail) is { } marked)
        {
            return (marked, AnswerPlace.Marked);
        }

        if (Statements.Last(tail) is { } statement)
        {
            return (statement, AnswerPlace.Stated);
        }

        if (Conclusions.Last(tail) is { } conclusion)
        {
            return (conclusion, AnswerPlace.Stated);
        }

        var whole = answer.Trim();
        if (Statements.IsAnswer(whole) && !Denial.IsIn(whole) && !NumbersInText.IsDoubt(whole))
        {
            var isEmphasized = whole.Length > 4 && whole.StartsWith("**", StringComparison.Ordinal) && whole.EndsWith("**", StringComparison.Ordinal);
            return (isEmphasized ? whole[2..^2] : whole, AnswerPlace.Whole);
        }

        return NumbersInText.Last(tail, out var isDoubtful) is { } number ? (number, isDoubtful ? AnswerPlace.Mentioned : AnswerPlace.LastNumber) : null;
    }

    static string? AfterReasoning(string text)
    {
        var end = text.LastIndexOf(ReasoningSplitter.Close, StringComparison.Ordinal);
        if (end >= 0)
        {
            return text[(end + ReasoningSplitter.Close.Length)..];
        }

        return text.Contains(ReasoningSplitter.Open, StringComparison.Ordinal) ? null : text;
    }

    /// <remarks>The mark of GSM8K is also Markdown's of a headline: those have text below them and do not begin with the answer.</remarks>
    static string? LastMarked(string text)
    {
        var last = Marks.Matches(text).LastOrDefault(
            mark => text.AsSpan(mark.Index + mark.Length).IsWhiteSpace() || IsNumericAnswer(mark.Groups["answer"].Value.Trim()));
        return last is null || string.IsNullOrWhiteSpace(last.Groups["answer"].Value) ? null : last.Groups["answer"].Value.Trim();
    }

    static bool IsNumericAnswer(string text) => Statements.IsAnswer(text) && Statements.StartsWithNumber(text) && !NumberedHeadline.IsMatch(text);
}
