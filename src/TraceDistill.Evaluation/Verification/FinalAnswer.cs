using System.Text.RegularExpressions;
using TraceDistill.Data.Answers;
using TraceDistill.Evaluation.Verification.Prose;
using TraceDistill.Text.Chat;

namespace TraceDistill.Evaluation.Verification;

/// <summary>Form in which an answer stands in a text.</summary>
enum AnswerPlace
{
    /// <summary>In a box, behind a mark, or alone: nothing else can be meant.</summary>
    Marked,

    /// <summary>In a sentence that asserts it as the result.</summary>
    Asserted,

    /// <summary>In a sentence that may mean something else: too little to call an answer right.</summary>
    Mentioned,
}

/// <summary>Finds the final answer in what a model wrote, in time linear in its length.</summary>
/// <remarks>
/// Boxes are looked for in the whole text: a model may go on for pages behind one. Everything else (marks, statements, numbers) is looked
/// for in the last <see cref="Tail"/> characters, where answers stand that nothing sets apart.
/// </remarks>
public static class FinalAnswer
{
    /// <summary>Longest end of a text, in characters, that decides where there is no box.</summary>
    public const int Tail = 4_000;

    /// <summary>Longest text, in characters, that is a choice and the words of it.</summary>
    const int MaxChoice = 80;

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    static readonly Regex Marks = new(@"####[ \t]*(?<answer>[^\n]+)", Linear);

    // A word of a sentence: no variable, unit or command.
    static readonly Regex Word = new(@"(?:^|[^\\\p{L}])\p{L}{4,}", Linear);

    static readonly Regex NumberedHeadline = new(@"^\d+\.\s+\p{L}", Linear);

    /// <summary>
    /// The answer by the first of these that the text has: a last line that is labelled as the answer, the last box
    /// (or the last boxes, where only commas stand between them), the last <c>#### …</c> that is no headline, the
    /// last statement such as <c>the answer is …</c> or <c>A: …</c>, what the last sentence with a value concludes
    /// (<c>therefore, x = 17.</c>), the whole text where it is short and supposes nothing. Reasoning up to
    /// <c>&lt;/think&gt;</c> is passed over. Where the last box is empty or not closed, only a statement counts.
    /// </summary>
    /// <returns>The answer as written, or null where there is none or where the text ends within the reasoning.</returns>
    public static string? Find(string text) => AfterReasoning(text) is { } answer ? Locate(answer)?.Answer : null;

    /// <summary>The answer and how it stands there.</summary>
    /// <param name="answer">The text behind the reasoning.</param>
    internal static (string Answer, AnswerPlace Place)? Locate(string answer)
    {
        var boxes = AnswerBoxes.Last(answer, out var end, out var isVoid);
        var tail = End(answer);
        if (boxes is not null || isVoid)
        {
            if (Statements.LabelledLine(answer[Math.Max(end, answer.Length - Tail)..]) is { } labelled)
            {
                return (labelled, AnswerPlace.Asserted);
            }

            return boxes is null
                ? Place(Statements.Last(tail, out _))
                : (boxes, IsContradicted(boxes, answer[end..]) ? AnswerPlace.Mentioned : AnswerPlace.Marked);
        }

        if (LastMarked(tail) is { } marked)
        {
            return (marked, AnswerPlace.Marked);
        }

        if (Stated(tail) is { } stated)
        {
            return Place(stated);
        }

        var conclusion = Conclusions.Last(tail, 0);
        return conclusion is { IsCertain: true } ? Place(conclusion) : Whole(answer.Trim()) ?? Place(conclusion);
    }

    /// <summary>Returns whether the text close behind a box calls another value the answer.</summary>
    static bool IsContradicted(string boxes, string behind)
    {
        const int Close = 300;
        return Statements.Last(behind.Length > Close ? behind[..Close] : behind, out _) is { } later
            && later.Value.Any(char.IsAsciiDigit)
            && (later.IsCertain || Doubt.IsRetraction(behind))
            && AnswerText.Compare(boxes, later.Value) == false;
    }

    /// <summary>The end of a text that decides where there is no box.</summary>
    static string End(string answer) => answer.Length > Tail ? answer[^Tail..] : answer;

    static (string, AnswerPlace)? Place(Finding? finding) =>
        finding is { } found ? (found.Value, found.IsCertain ? AnswerPlace.Asserted : AnswerPlace.Mentioned) : null;

    /// <summary>
    /// The last statement. A later conclusion with another value leaves it open, and speaks for one that is open or has no value ("the
    /// answer is clear").
    /// </summary>
    static Finding? Stated(string text)
    {
        if (Statements.Last(text, out var end) is not { } stated)
        {
            return null;
        }

        return Conclusions.Last(text, end) is not { IsCertain: true } later || AnswerText.Compare(stated.Value, later.Value) != false
                ? stated
            : stated.IsCertain && stated.Value.Any(char.IsAsciiDigit) ? stated with { IsCertain = false }
            : later;
    }

    static (string, AnswerPlace)? Whole(string text)
    {
        if (text.Length <= MaxChoice && !text.Contains('\n', StringComparison.Ordinal) && Statements.Choice(text) is { } choice)
        {
            return (choice, AnswerPlace.Marked);
        }

        if (
            !Statements.IsAnswer(text)
            || Clauses.HasLead(text)
            || text.Any(char.IsAsciiDigit) && Word.IsMatch(text) && !Statements.StartsWithNumber(text)
            || Denial.IsIn(text)
            || Doubt.IsGuess(text)
            || Doubt.IsConditional(text)
        )
        {
            return null;
        }

        var isEmphasized =
            text.Length > 4 && text.StartsWith("**", StringComparison.Ordinal) && text.EndsWith("**", StringComparison.Ordinal);
        return (isEmphasized ? text[2..^2] : text, text.EndsWith('!') ? AnswerPlace.Asserted : AnswerPlace.Marked);
    }

    /// <summary>The text behind the reasoning; null where it ends within.</summary>
    internal static string? AfterReasoning(string text)
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
        var last = Marks
            .Matches(text)
            .LastOrDefault(mark =>
                text.AsSpan(mark.Index + mark.Length).IsWhiteSpace() || IsNumericAnswer(mark.Groups["answer"].Value.Trim())
            );
        return last is null || string.IsNullOrWhiteSpace(last.Groups["answer"].Value) ? null : last.Groups["answer"].Value.Trim();
    }

    static bool IsNumericAnswer(string text) =>
        Statements.IsAnswer(text) && Statements.StartsWithNumber(text) && !NumberedHeadline.IsMatch(text);
}
