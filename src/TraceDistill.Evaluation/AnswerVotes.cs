using TraceDistill.Data.Answers;

namespace TraceDistill.Evaluation;

/// <summary>The votes of one problem's samples: equal answers are one candidate.</summary>
sealed class AnswerVotes
{
    readonly List<(string Answer, bool Correct, int Votes)> _candidates = [];

    public AnswerVotes(IEnumerable<EvaluationRecord> samples)
    {
        foreach (var sample in samples)
        {
            Total++;
            if (sample.Answer is not { } answer)
            {
                Unanswered++;
                continue;
            }

            // Right answers all equal the expected one, and so each other.
            var index = _candidates.FindIndex(known =>
                known.Correct == sample.Correct && (sample.Correct || AnswerText.AreEqual(known.Answer, answer))
            );
            if (index < 0)
            {
                _candidates.Add((answer, sample.Correct, 1));
            }
            else
            {
                _candidates[index] = _candidates[index] with { Votes = _candidates[index].Votes + 1 };
            }
        }
    }

    public int Total { get; }

    public int Unanswered { get; }

    public int Correct => _candidates.Where(candidate => candidate.Correct).Sum(candidate => candidate.Votes);

    public int[] Wrong => [.. _candidates.Where(candidate => !candidate.Correct).Select(candidate => candidate.Votes)];

    /// <summary>
    /// The most frequent answer (the earlier sampled of equals) and its share of all samples; confidence 0 where there is no answer.
    /// </summary>
    public (double Confidence, bool Correct) Winner()
    {
        var winner = _candidates.DefaultIfEmpty().MaxBy(candidate => candidate.Votes);
        return ((double)winner.Votes / Total, winner.Correct);
    }
}
