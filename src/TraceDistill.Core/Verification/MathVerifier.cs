using TraceDistill.Core.Problems;

namespace TraceDistill.Core.Verification;

/// <summary>
/// Checks short mathematical answers: finds the final answer in the text (<see cref="FinalAnswer"/>) and compares numbers as exact
/// rationals, anything else as normalised text (<see cref="AnswerText"/>).
/// </summary>
public sealed class MathVerifier : IVerifier
{
    /// <summary>It has no state.</summary>
    public static MathVerifier Instance { get; } = new();

    /// <inheritdoc/>
    /// <remarks>
    /// A text without an answer is incorrect. Two expressions that need algebra and are written differently are unverified.
    /// </remarks>
    public Verdict Verify(string? text, Problem problem)
    {
        var expected = problem.Answer;
        if (text is null || string.IsNullOrWhiteSpace(expected))
            return Verdict.Unverified;
        if (text.Trim() == expected.Trim())
            return Verdict.Correct;
        if (FinalAnswer.Find(text) is not { } answer)
            return Verdict.Incorrect;
        if (AnswerText.AreEqual(expected, answer))
            return Verdict.Correct;
        return AnswerText.IsExpression(expected) ? Verdict.Unverified : Verdict.Incorrect;
    }
}
