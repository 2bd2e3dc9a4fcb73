using TraceDistill.Cli.Stages;
using TraceDistill.Data.Problems;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Synthesis;

/// <summary>The problems that a round tries.</summary>
/// <param name="Round">From 1.</param>
/// <param name="Arms">Where it drew from.</param>
/// <param name="Shares">[arms] part of each.</param>
/// <param name="Candidates">Each with the index of its arm.</param>
sealed record DrawnRound(
    int Round,
    IReadOnlyList<ProblemArm> Arms,
    IReadOnlyList<double> Shares,
    IReadOnlyList<(int Arm, Problem Problem)> Candidates
);

/// <summary>What comes of a round whose candidates the teacher has answered.</summary>
/// <param name="options">Name the student and the measure.</param>
/// <param name="context">Where it runs.</param>
/// <param name="answers">Have taken in all of the round's traces.</param>
sealed class RoundMeasure(SynthesizeOptions options, StageContext context, VerifiedAnswers answers)
{
    /// <param name="drawn">What was tried.</param>
    /// <param name="folder">The round's.</param>
    /// <param name="most">Problems that it keeps at most.</param>
    /// <param name="mayBeNone">True where the student is known to be comparable, and so a round without a comparison is no fault.</param>
    /// <param name="cancellationToken">Stops; of the student's answers those that are there stay.</param>
    /// <exception cref="InvalidInputException">The student cannot be compared with any trace.</exception>
    public async Task<SynthesisRound> MeasureAsync(
        DrawnRound drawn,
        SynthesisRoundFolder folder,
        int most,
        bool mayBeNone,
        CancellationToken cancellationToken
    )
    {
        var right = new HashSet<string>();
        await foreach (
            var trace in SynthesisRoundFolder.ReadAsync(folder.Traces, softTargets: false, cancellationToken).Where(answers.IsRight)
        )
        {
            right.Add(trace.ProblemId);
        }

        Problem[] verified =
        [
            .. drawn.Candidates.Select(row => answers.WithAnswer(row.Problem)).Where(problem => right.Contains(problem.Id)),
        ];
        var disagreement = await new StudentDisagreement(options, context).MeasureAsync(
            verified,
            folder.Traces,
            answers.IsRight,
            folder.Student,
            cancellationToken
        );
        if (verified.Length > 0 && disagreement.Count == 0 && !mayBeNone)
        {
            throw new InvalidInputException(
                $"student: {options.Student} was compared with no trace of the teacher's: they have no soft targets or prompt ids, or "
                    + "are longer than its positions; take disagreement: answer"
            );
        }

        KeptProblem[] kept =
        [
            .. verified
                .Where(problem => disagreement.TryGetValue(problem.Id, out var value) && value > 0 && value >= options.MinDisagreement)
                .Select(problem => new KeptProblem(problem.Id, disagreement[problem.Id]))
                .OrderByDescending(problem => problem.Disagreement)
                .Take(most),
        ];
        return new SynthesisRound(drawn.Round, [.. drawn.Arms.Select(ResultOf)], kept);

        SynthesisArm ResultOf(ProblemArm arm, int index)
        {
            var own = drawn.Candidates.Where(row => row.Arm == index).Select(row => row.Problem.Id).ToHashSet();
            var compared = own.Where(disagreement.ContainsKey).Select(id => disagreement[id]).ToList();
            return new SynthesisArm(
                arm.Family,
                arm.Level,
                drawn.Shares[index],
                own.Count,
                own.Count(right.Contains),
                compared.Count,
                compared.Count == 0 ? 0 : compared.Average(),
                kept.Count(problem => own.Contains(problem.Id))
            );
        }
    }
}
