using TraceDistill.Core.Problems;
using TraceDistill.Core.Verification.Notation;

namespace TraceDistill.Core.Verification;

/// <summary>
/// Checks mathematical answers: finds the final answer in the text (<see cref="FinalAnswer"/>), reads it and the expected one into typed values
/// (<see cref="AnswerReader"/>) and compares those by exact algebra and by values at random points (<see cref="AnswerComparison"/>).
/// </summary>
public sealed class MathVerifier : IVerifier
{
    /// <summary>It has no state.</summary>
    public static MathVerifier Instance { get; } = new();

    /// <inheritdoc/>
    /// <remarks>
    /// A text without an answer is incorrect. What the engine cannot read or decide is unverified, never incorrect; so is what prose leaves open: a
    /// number in words within a sentence, <c>18!</c> at a sentence's end, and a last number that is not called the result.
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

        if (FinalAnswer.Locate(text) is not var (answer, place))
        {
            return Verdict.Incorrect;
        }

        var isEqual = AnswerText.Compare(expected, answer);
        if (place == AnswerPlace.Mentioned)
        {
            return isEqual == false ? Verdict.Incorrect : Verdict.Unverified;
        }

        if (place == AnswerPlace.Stated && isEqual != false && NumberWords.TryRead(answer, out _))
        {
            return Verdict.Unverified;
        }

        if (place is AnswerPlace.Stated or AnswerPlace.Whole && isEqual == false && answer.EndsWith('!')
            && AnswerText.AreEqual(expected, answer.TrimEnd('!')))
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
}
