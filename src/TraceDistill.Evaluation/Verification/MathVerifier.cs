using System.Buffers;
using System.Text.RegularExpressions;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Answers.Notation;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification.Prose;

namespace TraceDistill.Evaluation.Verification;

/// <summary>
/// Checks mathematical answers: finds the final answer in the text (<see cref="FinalAnswer"/>), reads it and the expected one into typed
/// values (<see cref="AnswerReader"/>) and compares those by exact algebra and by values at random points
/// (<see cref="AnswerComparison"/>).
/// </summary>
public sealed class MathVerifier : IVerifier
{
    /// <summary>Longest end of a text, in characters, in which an answer may hide that no sentence asserts.</summary>
    const int Near = 500;

    /// <summary>Most numbers of a text that are compared with the expected one.</summary>
    const int MaxNumbers = 100;

    // Signs of formulas, whose values nobody looks for among the numbers of a text.
    static readonly SearchValues<char> Unread = SearchValues.Create("\\^√π!½⅓⅔¼¾" + PlainCharacters.Superscripts);

    // 5 in 9, which may be meant by 5/9.
    static readonly Regex Fraction = new(
        @"^\s*(?:\\[dt]?frac\{?(?<above>\d+)\}?\{?(?<below>\d+)\}?|(?<above>\d+)\s*/\s*(?<below>\d+))\s*$",
        RegexOptions.NonBacktracking | RegexOptions.CultureInvariant
    );

    /// <summary>It has no state.</summary>
    public static MathVerifier Instance { get; } = new();

    /// <inheritdoc/>
    public string? FindAnswer(string text) => FinalAnswer.Find(text);

    /// <inheritdoc/>
    /// <remarks>
    /// Correct takes an answer that is marked, or asserted beyond mistake. Incorrect takes the same with another value, or a text in
    /// which the expected number does not occur. All else is unverified: what the engine cannot read or decide, what a sentence only
    /// mentions, a number in words within a sentence, and <c>18!</c> at a sentence's end.
    /// </remarks>
    public Verdict Verify(string? text, Problem problem)
    {
        var expected = problem.Answer;
        if (text is null || string.IsNullOrWhiteSpace(expected))
        {
            return Verdict.Unverified;
        }

        if (text.Trim() == expected.Trim())
        {
            return Verdict.Correct;
        }

        if (FinalAnswer.AfterReasoning(text) is not { } end)
        {
            return Verdict.Incorrect;
        }

        if (FinalAnswer.Locate(end) is not var (answer, place))
        {
            return IsMentioned(end, expected) ? Verdict.Unverified : Verdict.Incorrect;
        }

        var isEqual = AnswerText.Compare(expected, answer);
        var isWords = place == AnswerPlace.Asserted && isEqual == false && !answer.Any(char.IsAsciiDigit) && AnswerText.IsNumber(expected);
        if (place == AnswerPlace.Mentioned || isWords)
        {
            return isEqual == true || IsMentioned(end, expected) ? Verdict.Unverified : Verdict.Incorrect;
        }

        if (
            place == AnswerPlace.Asserted
            && (
                isEqual != false && NumberWords.TryRead(answer, out _)
                || isEqual == false && answer.EndsWith('!') && AnswerText.AreEqual(expected, answer.TrimEnd('!'))
            )
        )
        {
            return Verdict.Unverified;
        }

        return isEqual switch
        {
            true => Verdict.Correct,
            false => Verdict.Incorrect,
            null => Verdict.Unverified,
        };
    }

    /// <summary>Returns whether the expected answer may stand in a text: a number has to occur, of other answers nobody knows.</summary>
    static bool IsMentioned(string text, string expected)
    {
        if (string.IsNullOrWhiteSpace(text) || !AnswerText.IsNumber(expected))
        {
            return !string.IsNullOrWhiteSpace(text);
        }

        var end = text.Length > Near ? text[^Near..] : text;
        if (end.AsSpan().ContainsAny(Unread) || Doubt.MayHideNumbers(end))
        {
            return true;
        }

        var numbers = NumbersInText.Find(end).Reverse().DistinctBy(number => number.Digits).ToList();
        if (
            Fraction.Match(expected) is { Success: true } fraction
            && numbers.Any(number => number.Digits == fraction.Groups["above"].Value)
            && numbers.Any(number => number.Digits == fraction.Groups["below"].Value)
        )
        {
            return true;
        }

        return numbers
            .Select(number => number.Text)
            .Concat(Doubt.NumberWordsIn(end))
            .Take(MaxNumbers)
            .Any(number => AnswerText.Compare(expected, number) != false);
    }
}
