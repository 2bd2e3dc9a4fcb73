using System.Text.RegularExpressions;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Verification;

namespace TraceDistill.Core.Problems.Files;

/// <summary>One record of a problem file of any format: the text fields it has, and where it stands.</summary>
/// <param name="Where">File and line or row, for messages.</param>
/// <param name="Fields">The fields of <see cref="FieldNames"/> that the record has and that are not null.</param>
sealed partial record ProblemRow(RowPlace Where, IReadOnlyDictionary<string, string> Fields)
{
    /// <summary>Every field that is looked at; others are passed over.</summary>
    public static readonly string[] FieldNames = ["id", "problem", "question", "solution", "answer", "family"];

    /// <summary>Fields that may also be numbers, and are then taken as written.</summary>
    public static bool MayBeNumber(string field) => field is "id" or "answer";

    const string AnswerMark = "####";

    /// <exception cref="InvalidInputException">A field is missing or empty.</exception>
    public Problem ToProblem(string defaultFamily)
    {
        var hasQuestion = Fields.ContainsKey("question") && !Fields.ContainsKey("problem");
        return hasQuestion && !HasPlainAnswer ? FromGsm8kForm() : FromProblemForm(hasQuestion ? "question" : "problem", defaultFamily);
    }

    /// <summary>Whether the answer needs no mark to be found: it is a number alone, or the solution has a field of its own.</summary>
    bool HasPlainAnswer => Fields.TryGetValue("answer", out var answer)
        && !answer.Contains(AnswerMark, StringComparison.Ordinal)
        && (Fields.ContainsKey("solution") || AnswerText.IsNumber(answer));

    Problem FromProblemForm(string textField, string defaultFamily)
    {
        var text = Required(textField, textField == "problem" ? "problem (or question)" : textField);
        return Create(text, Required("answer").Trim(), Fields.GetValueOrDefault("solution"), defaultFamily);
    }

    /// <summary>GSM8K: <c>question</c>, and <c>answer</c> with calculator notes <c>&lt;&lt;48/2=24&gt;&gt;</c> and a last line <c>#### 1,072</c>.</summary>
    Problem FromGsm8kForm()
    {
        var answer = Required("answer");
        var mark = answer.LastIndexOf(AnswerMark, StringComparison.Ordinal);
        var final = mark < 0 ? "" : ThousandsComma().Replace(answer[(mark + AnswerMark.Length)..], "").Trim();
        if (final == "")
            throw new InvalidInputException($"{Where}: field 'answer' has no final answer after '{AnswerMark}'; with a plain answer name the question 'problem'");
        var solution = CalculatorNote().Replace(answer[..mark], "").Trim();
        return Create(Required("question"), final, solution == "" ? null : solution, "gsm8k");
    }

    Problem Create(string text, string answer, string? solution, string defaultFamily) => new()
    {
        Id = Optional("id") ?? ProblemId.Of(text),
        Text = text,
        Answer = answer,
        Solution = solution,
        Family = Optional("family") ?? defaultFamily,
    };

    string Required(string field, string? shownAs = null)
    {
        if (!Fields.TryGetValue(field, out var value))
            throw new InvalidInputException($"{Where}: field '{shownAs ?? field}' is missing");
        return string.IsNullOrWhiteSpace(value) ? throw new InvalidInputException($"{Where}: field '{field}' is empty") : value;
    }

    string? Optional(string field) => Fields.ContainsKey(field) ? Required(field) : null;

    [GeneratedRegex(@"(?<=\d),(?=\d{3}(?!\d))")]
    private static partial Regex ThousandsComma();

    [GeneratedRegex("<<[^<>]*>>")]
    private static partial Regex CalculatorNote();
}
