using System.Buffers;
using System.Text.RegularExpressions;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Sentences and lines that call something the answer, in the languages of the common benchmarks.</summary>
static class Statements
{
    /// <summary>Longest text, in characters and words, that is taken for an answer as a whole.</summary>
    const int MaxShortLength = 80,
        MaxShortWords = 6,
        MaxPlainWords = 4;

    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    /// <summary>Most statements of a text that are looked at.</summary>
    const int MaxStatements = 5;

    static readonly char[] Dress = [' ', '*', '_', '`', '"'];

    static readonly SearchValues<char> Relations = SearchValues.Create("<>≤≥≠,");

    const string AnswerWords =
        "answer|ans|respuesta|r[ée]ponse|antwort|resposta|risposta|ответ|відповідь|odpowied[źz]|odpověď"
        + "|cevap|yanıt|antwoord|svar|vastaus|jawaban"
        + "|đáp án|đáp số"
        + "|答案|答え|答|解答|정답|답|उत्तर|উত্তর|జవాబు|సమాధానం|பதில்|jibu|ergebnis|resultado|الجواب|الإجابة|תשובה|απάντηση|คำตอบ";

    const string Final = " finale?| akhir| końcowa| النهائية| النهائي| cuối cùng";

    const string Is =
        "is|are|equals|should be|must be|es|est|ist|lautet|beträgt|é|è|será|равен|равно|é "
        + "igual a|adalah|ialah|là|jest|är|er|هو|هي|είναι|הוא|היא|是|为|為|は|입니다";

    // A statement: "the answer is", "answer:", "Respuesta final:", "答案是". The value is what follows on the line.
    static readonly Regex Named = new(
        $@"(?:(?:^|[^\p{{L}}])(?:{AnswerWords})(?:[^\n.:=：]{{0,60}}?(?:[ \t*_]|\b)(?:{Is})(?:[ :：]|\b)|"
            + $@"(?:{Final})?[ \t*_]*(?:\([^\n()]*\))?[ \t*_]*[:=：—-]|(?:[是为為はＨ]|คือ):?)|^[ \t]*A:"
            + $@"|^[ \t]*(?:#+|\*\*|__)[ \t*_]*(?:the )?(?:final )?(?:{AnswerWords})(?:{Final})?[ \t*_]*$)",
        Linear | RegexOptions.IgnoreCase | RegexOptions.Multiline
    );

    // Chinese, Japanese and Korean put no space around the word.
    static readonly Regex EastAsianStatements = new(
        "(?:(?:答案|答え|答|정답|답)(?:[^\n。.:=：]{0,20}?[是为為はを은는][:：]?|[ *_]*[:：])|(?:故选|应选|故選)[ *_]*[:：]?)",
        Linear
    );

    // The last line names the answer and nothing else: it overrides a box before it.
    static readonly Regex Label = new(
        $@"^[\s*_#>✅-]*(?:the |la |el |die )?(?:final |respuesta |endgültige |finale |最终)?(?:{AnswerWords})(?:{Final})?[\s*_]*[:：][\s*_]*",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex Formula = new(@"^(?:\$[^$]+\$|\\\([^)]*\\\)|\\\[.*\\\])$", Linear);

    static readonly Regex SentenceEnd = new(@"(?:[.?][*_`""$]*(?:\s|$)|\p{L}!(?:\s|$)|。|です|입니다)", Linear);

    static readonly Regex BeginsWithNumber = new(@"^[-+(\[$€£\\.−]*\d", Linear);

    // The same once more in other words.
    static readonly Regex Aside = new(@",? (?:i\.e\.|that is,|which (?:is|means|equals) )", Linear);

    // Someone else's answer, or one that was given up.
    static readonly Regex OfOthers = new(
        @"\b(?:his|her|their|your|previous|first|initial|original|wrong|earlier|old|another|other|sample|example|common|intuitive"
            + @"|tempting|naive|obvious|student|user)\b"
            + @"(?: \w+){0,2} (?:answer|solution|result)|['’]s (?:final )?answer|\b(?:says?|said"
            + @"|claims?|claimed|told|thinks?|thought|believes?|was|were)\b",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex ChoiceWord = new(@"^(?:option|choice) ", Linear | RegexOptions.IgnoreCase);

    // The letter of a choice behind words: "la opción C".
    static readonly Regex NamedChoice = new(
        @"^(?i:(?:the|la|le|el|die|der|o|a) )?(?i:(?:correct "
            + @")?(?:option|choice|letter|letra|lettre|opción|alternativa|opção|opzione|вариант) )?[*(]*(?<letter>[A-J])[)*.]*$",
        Linear
    );

    /// <summary>The value of a last line such as <c>**Answer: D**</c> behind a box.</summary>
    public static string? LabelledLine(string text)
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

    /// <summary>The last statement's value; null where none has one.</summary>
    /// <param name="end">Where the sentence of the statement ends.</param>
    public static Finding? Last(string text, out int end)
    {
        end = 0;
        var statements = Named
            .Matches(text)
            .Concat(EastAsianStatements.Matches(text))
            .OrderByDescending(match => match.Index + match.Length)
            .Take(MaxStatements);
        foreach (var (statement, isLast) in statements.Select((statement, index) => (statement, index == 0)))
        {
            // A statement that gives nothing, such as an echo of the question, does not hide an earlier one on another line.
            var rest = Rest(text, statement.Index + statement.Length);
            var said = rest[..End(rest)];
            var start = text.IndexOf(rest, statement.Index + statement.Length, StringComparison.Ordinal);
            if (
                (isLast ? !Denial.IsIn(statement.Value) : Label.IsMatch(LineAt(text, statement.Index)))
                && Said(said, text[..start]) is { } found
            )
            {
                end = start + said.Length;
                return found with { IsCertain = found.IsCertain && IsOwn(text, statement) && !Remarks.TakeBack(text[end..]) };
            }
        }

        return null;
    }

    /// <summary>Returns whether what stands before a statement in its sentence leaves it the writer's own assertion.</summary>
    static bool IsOwn(string text, Match statement)
    {
        var end = statement.Index + statement.Length;
        var start = Sentences.Of(text).LastOrDefault(sentence => sentence.Start < end).Start;
        var lead = text[Math.Min(start, statement.Index)..end];
        return !Doubt.IsGuess(lead) && !Doubt.IsConditional(lead) && !Doubt.IsRetraction(lead) && !OfOthers.IsMatch(lead);
    }

    /// <summary>Content of the rest of a statement's sentence: a value and nothing else, or a sentence with one.</summary>
    static Finding? Said(string said, string before)
    {
        var text = Clauses.WithoutContrast(Aside.Match(said) is { Success: true } aside ? said[..aside.Index] : said);
        if (Value(text) is not { } value)
        {
            return Denial.IsAtStart(text) ? null : SentenceReader.Read(text, before, isStated: true);
        }

        var isOpen = Doubt.IsGuess(text) || Doubt.IsRetraction(text) || Denial.IsIn(text);
        var details = Clauses.WithoutDetails(text);
        return new(value, !isOpen && (IsAnswer(details.Trim(Dress)) || !Doubt.IsComparison(details) && !Doubt.IsAlternative(details)));
    }

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

    /// <summary>Where the sentence ends that a text begins with; an exclamation mark belongs to it.</summary>
    static int End(string text) =>
        SentenceEnd.Match(text) is { Success: true } stop
            ? stop.Index + (stop.Value.Contains('!', StringComparison.Ordinal) ? 1 : 0)
            : text.Length;

    /// <summary>The answer that a phrase is: a formula at its start, a choice, a short phrase; null for a sentence.</summary>
    public static string? Value(string rest)
    {
        var text = rest.Trim().Trim(Dress);
        text = Aside.Match(text) is { Success: true } aside ? text[..aside.Index] : text;
        if (Denial.IsAtStart(text))
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

        var value = RightSide(text[..End(text)].Trim(Dress));
        if (value.IndexOf(" (", StringComparison.Ordinal) is > 0 and var bracket)
        {
            value = value[..bracket];
        }

        value = value.Trim(Dress);
        return IsAnswer(value) ? value : null;
    }

    /// <summary>The value of something set apart: a formula's right side or a short phrase; null for longer text.</summary>
    public static string? SetApart(string content)
    {
        var text = content.Trim().Trim(Dress).TrimEnd('.', ',');
        return Choice(text) is { } choice ? choice
            : RightSide(text).Trim() is var value && IsAnswer(value) ? value
            : null;
    }

    /// <summary>A formula between dollar signs or brackets that the statement begins with.</summary>
    static string? Enclosed(string text)
    {
        foreach (var (open, close) in (ReadOnlySpan<(string, string)>)[("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")])
        {
            if (
                text.StartsWith(open, StringComparison.Ordinal)
                && text.IndexOf(close, open.Length, StringComparison.Ordinal) is > 0 and var end
                && end > open.Length
            )
            {
                // $5 and $7 are two prices.
                var inner = text[open.Length..end];
                var rest = text[(end + close.Length)..].TrimStart('*', ' ');
                var isPrice =
                    open == "$"
                    && char.IsAsciiDigit(inner[0])
                    && inner.Any(char.IsWhiteSpace)
                    && inner.Any(char.IsLetter)
                    && !inner.Contains('\\', StringComparison.Ordinal);
                var isMoreToCome =
                    rest.StartsWith(',')
                    || rest.StartsWith('=')
                    || rest.StartsWith("and ", StringComparison.Ordinal)
                    || rest.StartsWith("or ", StringComparison.Ordinal);
                return isPrice || isMoreToCome ? null : inner.Trim();
            }
        }

        return null;
    }

    /// <summary>A choice with its text, <c>(B) 42</c> or <c>B. 42</c>, or behind words; the letter alone decides.</summary>
    public static string? Choice(string text)
    {
        if (NamedChoice.Match(text) is { Success: true } named)
        {
            return named.Groups["letter"].Value;
        }

        text = ChoiceWord.Replace(text, "");
        return text.Length > 3 && text[0] == '(' && text[1] is >= 'A' and <= 'J' && text[2] == ')' ? text[..3]
            : text.Length > 2 && text[0] is >= 'A' and <= 'J' && text[1] is ')' or ':' or '.' && text[2] == ' ' ? text[..1]
            : null;
    }

    /// <summary>The right side of a calculation or of a name with its value; equations between expressions stay whole.</summary>
    static string RightSide(string text)
    {
        var equals = text.LastIndexOf('=');
        if (
            equals <= 0
            || text.AsSpan().ContainsAny(Relations)
            || text.Contains("\\le", StringComparison.Ordinal)
            || text.Contains("\\ge", StringComparison.Ordinal)
        )
        {
            return text;
        }

        var left = text[..equals];
        return
            left.Any(char.IsLetter) && !left.Contains(' ', StringComparison.Ordinal)
            || left.Contains('\\', StringComparison.Ordinal)
            || left.Trim().Length > 1 && left.Any(character => character is 'x' or 'y' or 'z')
            ? text
            : text[(equals + 1)..].Trim();
    }

    /// <summary>Returns whether a text begins with a number, perhaps behind a sign, a bracket or a currency.</summary>
    public static bool StartsWithNumber(string text) => BeginsWithNumber.IsMatch(text);

    /// <summary>
    /// Returns whether the text is an answer as a whole: a number, a formula, one word, a few words without digits, or a short line that
    /// begins with a number.
    /// </summary>
    public static bool IsAnswer(string text)
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
            ? words == 1
                || words <= MaxShortWords
                    && (BeginsWithNumber.IsMatch(text) || !text.Any(char.IsLetter) || text.AsSpan().ContainsAny('\\', '='))
            : words <= MaxPlainWords;
    }

    /// <summary>
    /// Words parted by spaces that part something: those beside a sign do not. Two characters of Chinese or Japanese are about a word.
    /// </summary>
    static int WordCount(string text)
    {
        var count = 1 + text.Count(character => character >= '\u2E80' && char.IsLetter(character)) / 2;
        for (var i = 1; i < text.Length - 1; i++)
        {
            count += text[i] == ' ' && char.IsLetterOrDigit(text[i - 1]) && char.IsLetterOrDigit(text[i + 1]) ? 1 : 0;
        }

        return count;
    }
}
