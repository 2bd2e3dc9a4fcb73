using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers;

/// <summary>
/// The answers that a teacher's samples of each problem give: where most of them agree, what they agree on is probably right
/// (self-consistency, Wang et al., arXiv 2203.11171), which filters traces of problems whose answer nobody knows.
/// </summary>
/// <param name="verifier">Finds the answers.</param>
public sealed class AnswerAgreement(IVerifier verifier)
{
    readonly Dictionary<string, Votes> _problems = [];

    /// <summary>The number of problems of which a trace was taken in.</summary>
    public int Problems => _problems.Count;

    /// <summary>Takes in a trace. One that was cut off or gives no answer is a sample that agrees with none.</summary>
    public void Count(Trace trace)
    {
        if (!_problems.TryGetValue(trace.ProblemId, out var votes))
        {
            _problems.Add(trace.ProblemId, votes = new Votes());
        }

        votes.Samples++;
        if (AnswerOf(trace) is not { } answer)
        {
            return;
        }

        var known = votes.Answers.FindIndex(candidate => AnswerText.AreEqual(candidate.Answer, answer));
        if (known < 0)
        {
            votes.Answers.Add((answer, 1));
        }
        else
        {
            votes.Answers[known] = (votes.Answers[known].Answer, votes.Answers[known].Count + 1);
        }
    }

    /// <summary>A problem's most frequent answer; null where it is not frequent enough, or no trace was taken in.</summary>
    /// <param name="problemId">The problem.</param>
    /// <param name="least">Fraction of its samples.</param>
    public string? Agreed(string problemId, double least) => _problems.GetValueOrDefault(problemId)?.Winner(least);

    /// <summary>The number of problems whose most frequent answer has at least so large a fraction of its samples.</summary>
    public int Agreed(double least) => _problems.Values.Count(votes => votes.Winner(least) is not null);

    /// <summary>Returns whether a trace gives its problem's most frequent answer, and that is frequent enough.</summary>
    /// <param name="trace">All traces of its problem were taken in.</param>
    /// <param name="least">Fraction of the problem's samples.</param>
    public bool Agrees(Trace trace, double least) =>
        _problems[trace.ProblemId].Winner(least) is { } winner && AnswerOf(trace) is { } answer && AnswerText.AreEqual(winner, answer);

    string? AnswerOf(Trace trace) => FinishReasons.IsNatural(trace.FinishReason) ? verifier.FindAnswer(trace.Answer) : null;

    sealed class Votes
    {
        public int Samples { get; set; }

        /// <summary>Different answers, in the order in which they came.</summary>
        public List<(string Answer, int Count)> Answers { get; } = [];

        /// <summary>The most frequent answer, the earlier one of two; null where it is not frequent enough.</summary>
        public string? Winner(double least) =>
            Answers.Count > 0 && Answers.MaxBy(candidate => candidate.Count) is var winner && winner.Count >= least * Samples
                ? winner.Answer
                : null;
    }
}
