using System.Text.RegularExpressions;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Problems.Files;

/// <summary>One record of a problem file of any format: the text fields it has, and where it stands.</summary>
/// <param name="Where">File and line or row, for messages.</param>
/// <param name="Fields">The fields of <see cref="FieldNames"/> that the record has and that are not null.</param>
sealed partial record ProblemRow(string Where, IReadOnlyDictionary<string, string> Fields)
{
    /// <summary>Every field that is looked at; others are passed over.</summary>
    public static readonly string[] FieldNames = ["id", "problem", "question", "solution", "answer", "family"];

    /// <summary>Fields that may also be numbers, and are then taken as written.</summary>
    public static bool MayBeNumber(string field) => field is "id" or "answer";

    const string AnswerMark = "####";

    /// <exception cref="InvalidInputException">A field is missing or empty.</exception>
    public Problem ToProblem(string defaultFamily) =>
        Fields.ContainsKey("problem") || !Fields.ContainsKey("question") ? FromProblemForm(defaultFamily) : FromGsm8kForm();

    Problem FromProblemForm(string defaultFamily)
    {
        var text = Required("problem", "problem (or question)");
        return Create(text, Required("answer").Trim(), Fields.GetValueOrDefault("solution"), defaultFamily);
    }

    /// <summary>GSM8K: <c>question</c>, and <c>answer</c> with calculator notes <c>&lt;&lt;48/2=24&gt;&gt;</c> and a last line <c>#### 1,072</c>.</summary>
    Problem FromGsm8kForm()
    {
        var answer = Required("answer");
        var mark = answer.LastIndexOf(AnswerMark, StringComparison.Ordinal);
        var final = mark < 0 ? "" : answer[(mark + AnswerMark.Length)..].Replace(",", "").Trim();
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

    [GeneratedRegex("<<[^<>]*>>")]
    private static partial Regex CalculatorNote();
}
