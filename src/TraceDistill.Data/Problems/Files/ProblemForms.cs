using System.Text.Json;
using System.Text.RegularExpressions;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Files;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems.Files;

/// <summary>
/// Makes problems of records in the forms that data sets have: which field is the question, which the answer, which the solution.
/// </summary>
/// <param name="options">Fields that the user has named; they go before all that is usual.</param>
/// <param name="defaultFamily">Of records that have none.</param>
/// <param name="folder">Where the file lies: paths of pictures start there.</param>
sealed partial class ProblemForms(ProblemReaderOptions options, string defaultFamily, string folder)
{
    const string AnswerMark = "####";
    const string Question = "question";
    const string Answer = "answer";

    /// <summary>Field that holds the path of a picture.</summary>
    public const string PictureField = "picture";

    /// <summary>Field that holds labelled spans.</summary>
    public const string SpansField = "spans";

    /// <summary>Fields that hold a final answer, likeliest first.</summary>
    static readonly string[] AnswerFields =
    [
        Answer,
        "ground_truth",
        "final_answer",
        "expected_answer",
        "target",
        "reward_model.ground_truth",
        "info.reference_answer",
    ];

    /// <summary>Fields that hold a question as text, or parts of one, likeliest first.</summary>
    public static readonly string[] TextFields = ["problem", Question, "body", "instruction", "input", "prompt"];

    /// <summary>Fields that hold a conversation.</summary>
    public static readonly string[] ConversationFields = ["prompt", "messages", "conversations"];

    /// <summary>Fields that hold an answer, a solution or the like.</summary>
    public static readonly string[] OtherFields = ["id", "family", "solution", "output", PictureField, .. AnswerFields];

    /// <summary>Words that data sets write in place of an answer where there is none.</summary>
    static readonly string[] NoAnswers = ["proof", "notfound", "nan"];

    /// <summary>A question, the turns before it, and what somebody answered: a solution, or the answer itself.</summary>
    sealed record Asked(string Text, IReadOnlyList<ChatMessage> Earlier, string? Response = null, bool IsQuestion = false);

    /// <exception cref="InvalidInputException">No field holds a problem, or one of another type than expected.</exception>
    public Problem Read(ProblemRecord record)
    {
        var asked = AskedBy(record);
        var (answer, solution, isGsm8k) = AnswerTo(record, asked);
        return new Problem
        {
            Id =
                record.Json.Find("id") is { } id ? IdOf(record, id)
                : asked.Earlier.Count == 0 ? ProblemId.Of(asked.Text)
                : ProblemId.Of(asked.Text, asked.Earlier),
            Text = asked.Text,
            Earlier = asked.Earlier,
            Answer = answer ?? "",
            Solution = string.IsNullOrWhiteSpace(solution) ? null : solution,
            Family =
                record.Json.Find("family") is { } family ? record.Text("family", family)
                : isGsm8k ? "gsm8k"
                : defaultFamily,
            Picture = PictureOf(record, folder),
        };
    }

    /// <summary>Of other people's data sets the field may hold anything: what is no path is no picture.</summary>
    static string? PictureOf(ProblemRecord record, string folder) =>
        record.Json.Find(PictureField) is { ValueKind: JsonValueKind.String } value
        && value.GetString() is { } path
        && !string.IsNullOrWhiteSpace(path)
        && !path.Contains('\0', StringComparison.Ordinal)
            ? Path.GetFullPath(path, folder)
            : null;

    /// <summary>True where a record has an id of its own.</summary>
    public static bool HasId(ProblemRecord record) => record.Json.Find("id") is not null;

    static string IdOf(ProblemRecord record, JsonElement id) =>
        id.ValueKind == JsonValueKind.Number ? id.GetRawText() : record.Text("id", id);

    Asked AskedBy(ProblemRecord record)
    {
        if (options.ProblemField.Count > 0)
        {
            return Named(record);
        }

        if (record.Find("problem") is { } problem)
        {
            return new Asked(record.Text(problem.Name, problem.Value), []);
        }

        if (record.Find(Question) is { } question)
        {
            // The story of SVAMP and ASDiv, without which their question cannot be answered.
            var body = record.Find("body");
            var text = record.Text(question.Name, question.Value);
            return body is { } story
                ? new Asked(Joined(record.Text(story.Name, story.Value), text), [])
                : new Asked(text, [], IsQuestion: true);
        }

        if (record.Find("instruction") is { } instruction)
        {
            var text = record.Text(instruction.Name, instruction.Value);
            var input = record.Find("input") is { Value.ValueKind: JsonValueKind.String } given ? given.Value.GetString()! : "";
            return new Asked(string.IsNullOrWhiteSpace(input) ? text : Joined(text, input), [], ResponseIn(record, "output"));
        }

        foreach (var name in ConversationFields)
        {
            if (record.Find(name) is { } found && (name != "prompt" || found.Value.ValueKind == JsonValueKind.Array))
            {
                return Conversation(record, found.Name, found.Value);
            }
            else if (record.Find(name) is { } text)
            {
                return new Asked(record.Text(text.Name, text.Value), []);
            }
        }

        return record.Find("input") is { } only
            ? new Asked(record.Text(only.Name, only.Value), [], ResponseIn(record, "output"))
            : throw new InvalidInputException(
                $"{record.Where}: none of the fields that usually hold a problem is there; "
                    + $"it has {record.FieldNames()}; say which it is with problem_field"
            );
    }

    Asked Named(ProblemRecord record)
    {
        if (options.ProblemField is [var single] && record.Named(single, "problem_field") is { ValueKind: JsonValueKind.Array } turns)
        {
            return Conversation(record, single, turns);
        }

        var parts = options
            .ProblemField.Select(name => (Name: name, Value: record.Named(name, "problem_field")))
            .Where(part =>
                part.Value is { } value && !(value.ValueKind == JsonValueKind.String && string.IsNullOrWhiteSpace(value.GetString()))
            )
            .Select(part => record.Text(part.Name, part.Value!.Value))
            .ToArray();
        return parts.Length > 0
            ? new Asked(Joined(parts), [])
            : throw new InvalidInputException($"{record.Where}: field '{string.Join("', '", options.ProblemField)}' is empty");
    }

    /// <summary>
    /// The last turn of the user is asked, those before it are its context, and what the assistant said then is a response.
    /// </summary>
    static Asked Conversation(ProblemRecord record, string name, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            throw new InvalidInputException(
                $"{record.Where}: field '{name}' is a JSON {ProblemRecord.Kind(value)} where a list of turns is expected"
            );
        }

        var turns = record.Conversation(name, value);
        var last = turns.FindLastIndex(turn => turn.Role == "user");
        return last >= 0
            ? new Asked(turns[last].Content, turns[..last], turns.Skip(last + 1).LastOrDefault(turn => turn.Role == "assistant")?.Content)
            : throw new InvalidInputException($"{record.Where}: field '{name}' has no turn of the user");
    }

    (string? Answer, string? Solution, bool IsGsm8k) AnswerTo(ProblemRecord record, Asked asked)
    {
        var solution = SolutionIn(record);
        var (answer, isMarked) = (default(string), false);
        if (options.AnswerField is { } name)
        {
            answer = record.Named(name, "answer_field") is { } value ? record.Answer(name, value) : null;
        }
        else if (record.Find(AnswerFields) is { } found && (answer = record.Answer(found.Name, found.Value)) is not null)
        {
            isMarked = asked.IsQuestion && found.Name == Answer && !IsPlain(record, answer, solution);
        }

        if (answer is not null && (isMarked || answer.Contains(AnswerMark, StringComparison.Ordinal)))
        {
            return Marked(record, answer, solution, asked);
        }

        answer =
            answer is null || NoAnswers.Contains(answer, StringComparer.OrdinalIgnoreCase)
                ? null
                : BoxedAnswer.Find(answer) ?? WithoutUnit(answer);
        var told = solution ?? asked.Response;
        answer ??= told is null ? null : AnswerIn(told);
        return (answer, solution ?? (told?.Trim() == answer ? null : told), false);
    }

    /// <summary>GSM8K: the answer with calculator notes <c>&lt;&lt;48/2=24&gt;&gt;</c> and a last line <c>#### 1,072</c>.</summary>
    static (string? Answer, string? Solution, bool IsGsm8k) Marked(ProblemRecord record, string answer, string? solution, Asked asked)
    {
        if (AfterMark(answer) is { } final)
        {
            var worked = CalculatorNote().Replace(answer[..answer.LastIndexOf(AnswerMark, StringComparison.Ordinal)], "").Trim();
            return (final, solution ?? worked, asked.IsQuestion);
        }

        return BoxedAnswer.Find(answer) is { } boxed
            ? (boxed, solution ?? answer, false)
            : throw new InvalidInputException(
                $"{record.Where}: field 'answer' has no final answer after '{AnswerMark}'; "
                    + "where the whole of it is the answer, say so with answer_field: answer, or name the question 'problem'"
            );
    }

    /// <summary>True where the answer needs no mark to be found: it is a number alone, or the solution has a field of its own.</summary>
    static bool IsPlain(ProblemRecord record, string answer, string? solution) =>
        solution is not null
        || record.Find(Answer) is not { Value.ValueKind: JsonValueKind.String }
        || NoAnswers.Contains(answer, StringComparer.OrdinalIgnoreCase)
        || IsNumber(WithoutUnit(answer));

    string? SolutionIn(ProblemRecord record)
    {
        var found = options.SolutionField is { } name
            ? record.Named(name, "solution_field") is { } value
                ? (name, value)
                : null
            : record.Find("solution");
        return found is not { } solution ? null
            : solution.Value is { ValueKind: JsonValueKind.String } && string.IsNullOrWhiteSpace(solution.Value.GetString()) ? null
            : record.Text(solution.Name, solution.Value);
    }

    static string? ResponseIn(ProblemRecord record, string name) =>
        record.Find(name) is { Value.ValueKind: JsonValueKind.String } response && !string.IsNullOrWhiteSpace(response.Value.GetString())
            ? response.Value.GetString()
            : null;

    /// <summary>The final answer that a solution tells: in its last box, after its mark, or by being a number and nothing else.</summary>
    static string? AnswerIn(string solution) =>
        BoxedAnswer.Find(solution) ?? AfterMark(solution) ?? (IsNumber(solution.Trim()) ? solution.Trim() : null);

    static string? AfterMark(string text)
    {
        var mark = text.LastIndexOf(AnswerMark, StringComparison.Ordinal);
        var final = mark < 0 ? "" : ThousandsComma().Replace(text[(mark + AnswerMark.Length)..], "").Trim();
        return final == "" ? null : final;
    }

    /// <summary>ASDiv writes <c>9 (apples)</c>.</summary>
    static string WithoutUnit(string answer) =>
        NumberWithUnit().Match(answer) is { Success: true } match ? match.Groups["number"].Value : answer;

    static bool IsNumber(string text) => AnswerText.IsNumber(text);

    static string Joined(params string[] parts) => string.Join("\n", parts.Select(part => part.Trim()));

    [GeneratedRegex(@"(?<=\d),(?=\d{3}(?!\d))", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex ThousandsComma();

    [GeneratedRegex("<<[^<>]*>>", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex CalculatorNote();

    [GeneratedRegex(@"^(?<number>-?[0-9][0-9.,/:]*)\s*\((?!\s*mod\b)[\p{L} .%/]+\)$", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex NumberWithUnit();
}
