using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;

namespace TraceDistill.Cli.Synthesis;

/// <summary>
/// Which of the teacher's answers count as right: the known one, or, where none is known, the one that its samples agree on.
/// </summary>
/// <param name="minAgreement">Least fraction of a problem's samples that give its answer, where none is known.</param>
sealed class VerifiedAnswers(double minAgreement)
{
    readonly AnswerAgreement _agreement = new(MathVerifier.Instance);

    /// <summary>Takes in a trace, before any of its problem is asked about.</summary>
    public void Count(Trace trace) => _agreement.Count(trace);

    /// <summary>Returns whether a trace's answer is right.</summary>
    public bool IsRight(Trace trace) =>
        trace.ExpectedAnswer.Length > 0 ? trace.Verdict == Verdict.Correct.ToName() : _agreement.Agrees(trace, minAgreement);

    /// <summary>The problem with its answer, which is empty where nobody knows it and the samples do not agree.</summary>
    public Problem WithAnswer(Problem problem) =>
        problem.Answer.Length > 0 ? problem : problem with { Answer = _agreement.Agreed(problem.Id, minAgreement) ?? "" };
}
