using System.Buffers;
using System.Text.RegularExpressions;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Verification.Notation;

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

    /// <summary>Longest text, in characters and words, that is taken for an answer as a whole.</summary>
    const int MaxShortLength = 80, MaxShortWords = 6, MaxPlainWords = 4;

    /// <summary>Most characters before the number of a statement that is more than a number.</summary>
    const int MaxLead = 40;

    /// <summary>Most boxes that are one list.</summary>
    const int MaxBoxes = 64;

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    static readonly string[] BoxCommands = [@"\boxed", @"\fbox", @"\framebox"];

    static readonly SearchValues<char> Relations = SearchValues.Create("<>≤≥≠,");

    static readonly Regex Marks = new(@"####[ \t]*(?<answer>[^\n]+)", Linear);

    const string AnswerWords =
        "answer|ans|respuesta|r[ée]ponse|antwort|resposta|risposta|ответ|відповідь|odpowied[źz]|odpověď|cevap|yanıt|antwoord|svar|vastaus|jawaban|đáp án|đáp số"
        + "|答案|答え|答|解答|정답|답|उत्तर|الجواب|الإجابة|תשובה|απάντηση|คำตอบ";

    const string Is = "is|are|equals|es|est|ist|lautet|beträgt|é|è|será|равен|равно|é igual a|是|为|為|は|입니다";

    // A statement: "the answer is", "answer:", "Respuesta final:", "答案是". The value is what follows on the line.
    static readonly Regex Statements = new(
        $@"(?:(?:^|[^\p{{L}}])(?:{AnswerWords})(?:[^\n.:=：]{{0,60}}?(?:[ \t*_]|\b)(?:{Is})(?:[ :：]|\b)|(?: finale?)?[ \t*_]*(?:\([^\n()]*\))?[ \t*_]*[:=：—-]|[是为為はＨ]:?)|^[ \t]*A:)",
        Linear | RegexOptions.IgnoreCase | RegexOptions.Multiline);

    // Chinese, Japanese and Korean put no space around the word.
    static readonly Regex EastAsianStatements = new("(?:答案|答え|答|정답|답)(?:[^\n。.:=：]{0,20}?[是为為はを은는][:：]?|[ *_]*[:：])", Linear);

    // The last line names the answer and nothing else: it overrides a box before it.
    static readonly Regex Label = new($@"^[\s*_#>✅-]*(?:the |la |el |die )?(?:final |respuesta |endgültige |finale |最终)?(?:{AnswerWords})(?: final| finale)?[\s*_]*[:：][\s*_]*", Linear | RegexOptions.IgnoreCase);

    static readonly Regex Formula = new(@"^(?:\$[^$]+\$|\\\([^)]*\\\)|\\\[.*\\\])$", Linear);

    static readonly Regex SentenceEnd = new(@"(?:[.?][*_`""$]*(?:\s|$)|\p{L}!(?:\s|$)|。|です|입니다)", Linear);

    static readonly Regex BeginsWithNumber = new(@"^[-+(\[$€£\\.−]*\d", Linear);

    static readonly Regex NumberedHeadline = new(@"^\d+\.\s+\p{L}", Linear);

    static readonly Regex Numbers = new(
        @"-?\\[dt]?frac\{-?\d+\}\{\d+\}|[-+−]?\\?[$€£]?(?:\d{1,2}:\d{2}\b|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?|\.\d+)\\?%?", Linear);

    static readonly string[] Negations = ["not", "isn't", "isn’t", "never", "cannot be", "can't be", "\\ne", "\\neq", "≠", "no es", "nicht", "n'est pas", "não é", "non è", "不是"];

    /// <summary>
    /// The answer by the first of these that the text has: a last line that is labelled as the answer, the last box (or the last boxes, where only
    /// commas stand between them), the last <c>#### …</c> that is no headline, the last statement such as <c>the answer is …</c> or <c>A: …</c>,
    /// the whole text where it is short, the last number. Reasoning up to <c>&lt;/think&gt;</c> is passed over. Where the last box is empty or not
    /// closed, only a statement counts.
    /// </summary>
    /// <returns>The answer as written, or null where there is none or where the text ends within the reasoning.</returns>
    public static string? Find(string text) => Locate(text)?.Answer;

    internal static (string Answer, AnswerPlace Place)? Locate(string text)
    {
        if (AfterReasoning(text) is not { } answer)
        {
            return null;
        }

        var boxes = LastBoxes(answer, out var end, out var isVoid);
        var tail = answer.Length > Tail ? answer[^Tail..] : answer;
        if (boxes is not null || isVoid)
        {
            if (LabelledLine(answer[Math.Max(end, answer.Length - Tail)..]) is { } labelled)
            {
                return (labelled, AnswerPlace.Stated);
            }

            return boxes is not null ? (boxes, AnswerPlace.Marked) : LastStated(tail) is { } stated ? (stated, AnswerPlace.Stated) : null;
        }

        if (LastMarked(tail) is { } marked)
        {
            return (marked, AnswerPlace.Marked);
        }

        if (LastStated(tail) is { } statement)
        {
            return (statement, AnswerPlace.Stated);
        }

        var whole = answer.Trim();
        if (IsAnswer(whole) && !IsNegation(whole))
        {
            var isEmphasized = whole.Length > 4 && whole.StartsWith("**", StringComparison.Ordinal) && whole.EndsWith("**", StringComparison.Ordinal);
            return (isEmphasized ? whole[2..^2] : whole, AnswerPlace.Whole);
        }

        return LastNumber(tail) is { } number ? (number, AnswerPlace.LastNumber) : null;
    }

    static bool IsNegation(string text) => Negations.Any(negation => text.Contains($"{negation} ", StringComparison.OrdinalIgnoreCase));

    static string? AfterReasoning(string text)
    {
        var end = text.LastIndexOf(ReasoningSplitter.Close, StringComparison.Ordinal);
        if (end >= 0)
        {
            return text[(end + ReasoningSplitter.Close.Length)..];
        }

        return text.Contains(ReasoningSplitter.Open, StringComparison.Ordinal) ? null : text;
    }

    /// <summary>The content of the last box, or of all boxes of the list that it ends.</summary>
    /// <param name="end">Where the last box ends.</param>
    /// <param name="isVoid">Whether the last box is empty, not closed or denied.</param>
    static string? LastBoxes(string text, out int end, out bool isVoid)
    {
        (end, isVoid) = (0, false);
        var contents = new List<string>();
        var before = text.Length;
        while (contents.Count < MaxBoxes && LastBox(text, before) is { } box)
        {
            if (contents.Count == 0)
            {
                end = box.End;
                isVoid = string.IsNullOrWhiteSpace(box.Content) || IsDenied(text, box.Start);
                if (isVoid)
                {
                    return null;
                }
            }
            else if (string.IsNullOrWhiteSpace(box.Content) || box.End > before || !IsBetweenItems(text[box.End..before]))
            {
                break;
            }

            contents.Add(box.Content!.Trim());
            before = box.Start;
        }

        contents.Reverse();
        return contents.Count == 0 ? null : string.Join(", ", contents);
    }

    /// <summary>The last box that starts before a place; its content is null where nothing closes it.</summary>
    static (string? Content, int Start, int End)? LastBox(string text, int before)
    {
        while (before > 0)
        {
            // All names of the command hold this word; one search for it keeps the time linear.
            var word = text.LastIndexOf("box", before - 1, StringComparison.Ordinal);
            if (word < 0)
            {
                return null;
            }

            before = word;
            if (BoxCommands.FirstOrDefault(name => IsAt(text, name, word)) is not { } command)
            {
                continue;
            }

            var start = word - command.IndexOf("box", StringComparison.Ordinal);
            var at = start + command.Length;
            while (at < text.Length && text[at] is ' ' or '\n' or '\t' && at - start < 40)
            {
                at++;
            }

            if (at >= text.Length)
            {
                return (null, start, at);
            }

            if (text[at] == '{')
            {
                var close = Close(text, at);
                return close < 0 ? (null, start, text.Length) : (text[(at + 1)..close], start, close + 1);
            }

            // \boxed 7 is a box, "\boxed as you asked" the name of one.
            var stop = at;
            while (stop < text.Length && !char.IsWhiteSpace(text[stop]) && text[stop] != '$' && stop - at < MaxShortLength)
            {
                stop++;
            }

            var content = text[at..stop].TrimEnd('.', ',');
            if (content.Length == 1 && char.IsLetterOrDigit(content[0]) || content.Length > 1 && !char.IsLetter(content[0]) && content.Any(char.IsAsciiDigit))
            {
                return (content, start, stop);
            }
        }

        return null;
    }

    /// <summary>Whether a box command stands where its "box" was found.</summary>
    static bool IsAt(string text, string command, int box)
    {
        var start = box - command.IndexOf("box", StringComparison.Ordinal);
        return start >= 0 && text.AsSpan(start).StartsWith(command, StringComparison.Ordinal);
    }

    static int Close(string text, int open)
    {
        var depth = 0;
        for (var i = open; i < text.Length; i++)
        {
            if (text[i] == '\\')
            {
                i++;    // \{ and \} are text
            }
            else if (text[i] == '{')
            {
                depth++;
            }
            else if (text[i] == '}' && --depth == 0)
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Whether only a comma, an "and" or a name with an equals sign stands between two boxes: they are items of one list.</summary>
    static bool IsBetweenItems(string between)
    {
        if (between.Length > 40)
        {
            return false;
        }

        var words = between.Replace("\\text{", " ").Replace("\\quad", " ").Split([' ', '$', ',', ';', '\n', '}', '{', '\\', '(', ')', '&', '、', '，'], StringSplitOptions.RemoveEmptyEntries);
        return between.AsSpan().ContainsAny(",;&、，") || words.Any(word => word is "and" or "or" or "und" or "et" or "y")
            ? words.All(word => word is "and" or "or" or "und" or "et" or "y" or "=" || word.Length == 1 && char.IsLetter(word[0]) || word.Length == 2 && word[1] == '=')
            : false;
    }

    /// <summary>Whether the words before a place say that what stands there is not the answer.</summary>
    static bool IsDenied(string text, int at)
    {
        var before = text.AsSpan(Math.Max(0, at - 24), Math.Min(at, 24)).TrimEnd(" $*_(\\[:`\"{").ToString();
        return Negations.Any(negation => before.EndsWith(negation, StringComparison.OrdinalIgnoreCase)
            && (before.Length == negation.Length || !char.IsLetter(before[^(negation.Length + 1)]) || !char.IsAsciiLetter(negation[0])));
    }

    /// <summary>The value of a last line such as <c>**Answer: D**</c> behind a box.</summary>
    static string? LabelledLine(string text)
    {
        var trimmed = text.AsSpan().TrimEnd();
        var line = trimmed[(trimmed.LastIndexOf('\n') + 1)..].ToString();
        if (Label.Match(line) is not { Success: true } label)
        {
            return null;
        }

        var value = Value(line[label.Length..]);
        return value is not null && !value.Contains("boxed", StringComparison.Ordinal) ? value : null;
    }

    /// <remarks>The mark of GSM8K is also Markdown's of a headline: those have text below them and do not begin with the answer.</remarks>
    static string? LastMarked(string text)
    {
        var last = Marks.Matches(text).LastOrDefault(
            mark => text.AsSpan(mark.Index + mark.Length).IsWhiteSpace() || IsNumericAnswer(mark.Groups["answer"].Value.Trim()));
        return last is null || string.IsNullOrWhiteSpace(last.Groups["answer"].Value) ? null : last.Groups["answer"].Value.Trim();
    }

    static bool IsNumericAnswer(string text) => IsAnswer(text) && BeginsWithNumber.IsMatch(text) && !NumberedHeadline.IsMatch(text);

    static string? LastStated(string text)
    {
        var statements = Statements.Matches(text).Concat(EastAsianStatements.Matches(text)).OrderByDescending(match => match.Index + match.Length).ToList();
        if (statements.Count == 0)
        {
            return null;
        }

        var last = statements[0];
        return Value(Rest(text, last.Index + last.Length)) ?? Rescue(text, statements);
    }

    /// <summary>A statement that gives nothing, such as an echo of the question, does not hide an earlier one on another line.</summary>
    static string? Rescue(string text, List<Match> statements) => statements.Skip(1).Take(4)
        .Where(statement => Label.IsMatch(LineAt(text, statement.Index)))
        .Select(statement => Value(Rest(text, statement.Index + statement.Length)))
        .FirstOrDefault(value => value is not null);

    static string LineAt(string text, int at)
    {
        var start = at == 0 ? 0 : text.LastIndexOf('\n', at - 1) + 1;
        start = start <= at && text[at] == '\n' ? at + 1 : start;
        return Rest(text, start);
    }

    /// <summary>The first line with anything on it from a place on.</summary>
    static string Rest(string text, int at)
    {
        var rest = text.AsSpan(at).TrimStart(" \t\r\n*_:：");
        var end = rest.IndexOf('\n');
        return (end < 0 ? rest : rest[..end]).ToString();
    }

    /// <summary>The answer at the start of a statement's rest: a formula, a choice, a short phrase, or its first number.</summary>
    static string? Value(string rest)
    {
        var text = rest.Trim().Trim('*', '_', '`', '"', ' ');
        if (StartsDenied(text))
        {
            return null;
        }

        if (Enclosed(text) is { } formula)
        {
            return formula;
        }

        if (Choice(text) is { } choice)
        {
            return choice;
        }

        var end = SentenceEnd.Match(text) is { Success: true } stop ? stop.Index + (stop.Value.Contains('!', StringComparison.Ordinal) ? 1 : 0) : text.Length;
        var sentence = text[..end].Trim(' ', '*', '_', '`', '"');
        var value = RightSide(sentence);
        if (value.IndexOf(" (", StringComparison.Ordinal) is > 0 and var aside)
        {
            value = value[..aside];
        }

        value = value.Trim(' ', '*', '_', '`', '"');
        return IsAnswer(value) ? value : LeadingNumber(value);
    }

    static bool StartsDenied(string text) => Negations.Any(negation => text.StartsWith($"{negation} ", StringComparison.OrdinalIgnoreCase));

    /// <summary>A formula between dollar signs or brackets that the statement begins with.</summary>
    static string? Enclosed(string text)
    {
        foreach (var (open, close) in (ReadOnlySpan<(string, string)>)[("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")])
        {
            if (text.StartsWith(open, StringComparison.Ordinal) && text.IndexOf(close, open.Length, StringComparison.Ordinal) is > 0 and var end && end > open.Length)
            {
                // $5 and $7 are two prices.
                var inner = text[open.Length..end];
                var rest = text[(end + close.Length)..].TrimStart('*', ' ');
                var isPrice = open == "$" && char.IsAsciiDigit(inner[0]) && inner.Any(char.IsWhiteSpace) && inner.Any(char.IsLetter) && !inner.Contains('\\', StringComparison.Ordinal);
                var isMoreToCome = rest.StartsWith(',') || rest.StartsWith("and ", StringComparison.Ordinal) || rest.StartsWith("or ", StringComparison.Ordinal) || rest.StartsWith('=');
                return isPrice || isMoreToCome ? null : inner.Trim();
            }
        }

        return null;
    }

    /// <summary>A choice with its text, <c>(B) 42</c>; the letter alone decides.</summary>
    static string? Choice(string text) =>
        text.Length > 3 && text[0] == '(' && text[1] is >= 'A' and <= 'J' && text[2] == ')' ? text[..3]
        : text.Length > 2 && text[0] is >= 'A' and <= 'J' && text[1] is ')' or ':' && text[2] == ' ' ? text[..1] : null;

    /// <summary>The right side of a calculation or of a name with its value; equations between expressions stay whole.</summary>
    static string RightSide(string text)
    {
        var equals = text.LastIndexOf('=');
        if (equals <= 0 || text.AsSpan().ContainsAny(Relations) || text.Contains("\\le", StringComparison.Ordinal) || text.Contains("\\ge", StringComparison.Ordinal))
        {
            return text;
        }

        var left = text[..equals];
        return left.Any(char.IsLetter) && !left.Contains(' ', StringComparison.Ordinal) || left.Contains('\\', StringComparison.Ordinal) || left.Trim().Length > 1 && left.Any(character => character is 'x' or 'y' or 'z')
            ? text : text[(equals + 1)..].Trim();
    }

    /// <summary>Whether the text is an answer as a whole: a number, a formula, one word, a few words without digits, or a short line that begins with a number.</summary>
    static bool IsAnswer(string text)
    {
        if (text.Length is 0 or > MaxShortLength || text.Contains('\n', StringComparison.Ordinal))
        {
            return false;
        }

        if (Formula.IsMatch(text))
        {
            return true;
        }

        var words = WordCount(text);
        return text.Any(char.IsAsciiDigit)
            ? words == 1 || words <= MaxShortWords && (BeginsWithNumber.IsMatch(text) || !text.Any(char.IsLetter) || text.Contains('\\', StringComparison.Ordinal) || text.Contains('=', StringComparison.Ordinal))
            : words <= MaxPlainWords;
    }

    /// <summary>Words parted by spaces that part something: those beside a sign do not.</summary>
    static int WordCount(string text)
    {
        var count = 1;
        for (var i = 1; i < text.Length - 1; i++)
        {
            count += text[i] == ' ' && char.IsLetterOrDigit(text[i - 1]) && char.IsLetterOrDigit(text[i + 1]) ? 1 : 0;
        }

        return count;
    }

    /// <summary>The number that a phrase begins with, after a few words at most; a number that is calculated with is not the answer.</summary>
    static string? LeadingNumber(string text)
    {
        if (Wholes(text).FirstOrDefault() is not { } number)
        {
            return null;
        }

        var start = text.IndexOf(number, StringComparison.Ordinal);
        var behind = text.AsSpan(start + number.Length).TrimStart();
        return start > MaxLead || text.AsSpan(0, start).Contains(':') || behind.Length > 0 && "+*/^×=".Contains(behind[0], StringComparison.Ordinal) ? null : number;
    }

    static string? LastNumber(string text) => Wholes(text).LastOrDefault();

    /// <summary>Numbers that are no part of a word or of a longer one and that nothing denies.</summary>
    static IEnumerable<string> Wholes(string text)
    {
        foreach (Match match in Numbers.Matches(text))
        {
            var before = match.Index == 0 ? ' ' : text[match.Index - 1];
            var isPart = char.IsLetterOrDigit(before) && before < '\u2E80' || before is '_' or '.' or ',' or '/' or ':' || before == '\\';
            if (isPart && match.Value[0] is '-' or '+' or '−' && char.IsLetterOrDigit(before))
            {
                yield return match.Value[1..];
            }
            else if (!isPart && !IsDenied(text, match.Index))
            {
                yield return match.Value;
            }
        }
    }
}
