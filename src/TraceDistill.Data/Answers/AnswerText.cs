using System.Text;
using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers;

/// <summary>Compares answers as written.</summary>
public static class AnswerText
{
    /// <summary>Returns whether two answers are certainly the same.</summary>
    public static bool AreEqual(string first, string second) => Compare(first, second) == true;

    /// <summary>Returns whether an answer is one number, perhaps with a unit.</summary>
    public static bool IsNumber(string text)
    {
        using var work = WorkLimit.Begin();
        return AnswerReader
            .Read(text)
            .Any(reading => !reading.IsWeak && reading.Answer is Quantity { Value: var value } && IsNumber(value));
    }

    /// <summary>Returns whether two answers are the same; null where that is beyond the engine.</summary>
    /// <param name="expected">The known answer.</param>
    /// <param name="given">The model's.</param>
    internal static bool? Compare(string expected, string given)
    {
        if (Choice.Compare(expected, given) is { } isSameChoice)
        {
            return isSameChoice;
        }

        if (WithoutSpaces(expected) == WithoutSpaces(given))
        {
            return true;
        }

        using var work = WorkLimit.Begin();
        try
        {
            return AnswerComparison.AreEqual(AnswerReader.Read(expected), AnswerReader.Read(given));
        }
        catch (BeyondEngineException)
        {
            return null; // it had its work
        }
    }

    static bool IsNumber(Expression value)
    {
        try
        {
            return RationalFunction.Of(value).IsNumber(out _);
        }
        catch (BeyondEngineException)
        {
            return false;
        }
    }

    /// <summary>The text without the spaces that part no words or numbers.</summary>
    static string WithoutSpaces(string text)
    {
        var kept = new StringBuilder(text.Length);
        var trimmed = text.AsSpan().Trim().Trim('$').TrimEnd(".,;").Trim();
        for (var i = 0; i < trimmed.Length; i++)
        {
            if (!char.IsWhiteSpace(trimmed[i]))
            {
                kept.Append(trimmed[i]);
            }
            else if (kept.Length > 0 && char.IsLetterOrDigit(kept[^1]) && i + 1 < trimmed.Length && char.IsLetterOrDigit(trimmed[i + 1]))
            {
                kept.Append(' ');
            }
        }

        return kept.ToString();
    }
}

/// <summary>Letters of multiple choice.</summary>
static class Choice
{
    /// <summary>Returns whether a given answer names the expected choice; null where no choice is expected, or none is given.</summary>
    public static bool? Compare(string expected, string given) =>
        Letter(expected, isAlone: true) is { } right && Letter(given, isAlone: false) is { } chosen
            ? char.ToUpperInvariant(right) == char.ToUpperInvariant(chosen)
                ? true
                : char.IsAsciiLetterLower(right) || char.IsAsciiLetterLower(chosen)
                    ? null
                    : false
            : null;

    /// <summary>
    /// The letter of <c>C</c>, <c>(C)</c>, <c>\textbf{(C)}</c>, <c>C.</c>, and of a given <c>(C) 42</c>, <c>C: four</c>, <c>option C</c>.
    /// </summary>
    static char? Letter(string text, bool isAlone)
    {
        if (text.Length > 400)
        {
            return null;
        }

        var plain = text;
        foreach (
            var command in (ReadOnlySpan<string>)
                [
                    "\\textbf",
                    "\\textit",
                    "\\textrm",
                    "\\text",
                    "\\mathrm",
                    "\\mathbf",
                    "\\bf",
                    "\\rm",
                    "\\left",
                    "\\right",
                    "\\ ",
                    "\\,",
                    "**",
                ]
        )
        {
            plain = plain.Replace(command, " ", StringComparison.Ordinal);
        }

        plain = plain.Trim(' ', '{', '}', '$', '*', '.', '~');
        if (plain.Length <= 1)
        {
            return plain.Length == 1 && char.IsAsciiLetter(plain[0]) ? plain[0] : null;
        }

        foreach (var word in (ReadOnlySpan<string>)["option ", "choice ", "answer "])
        {
            plain = plain.StartsWith(word, StringComparison.OrdinalIgnoreCase) ? plain[word.Length..].Trim() : plain;
        }

        if (plain.Length <= 1)
        {
            return plain.Length == 1 && char.IsAsciiLetterUpper(plain[0]) ? plain[0] : null;
        }

        var isBracketed = plain.Length >= 3 && plain[0] == '(' && plain[2] == ')';
        if (isBracketed && char.IsAsciiLetter(plain[1]) && (plain.Length == 3 || !isAlone && plain[3] is ' ' or '}' or ':' or '.'))
        {
            return plain[1];
        }

        return
            !isAlone && char.IsAsciiLetterUpper(plain[0]) && plain[1] is ')' or ':' or '.' && (plain.Length == 2 || plain[2] is ' ' or '}')
            ? plain[0]
            : null;
    }
}
