using TraceDistill.Cli.Stages;
using TraceDistill.Data.Files;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Teachers.Budget;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Synthesis;

/// <summary>
/// Data-free distillation by search: rounds of problems that nobody collected, of which those are kept that the teacher verifiably solves
/// and at which the student is farthest from it. A round is a collection of its own in <c>rounds/N</c> and goes on where it was stopped.
/// </summary>
/// <param name="options">Its settings, with the endpoint of a model that is served.</param>
/// <param name="context">Where it runs.</param>
sealed class ProblemSynthesis(SynthesizeOptions options, StageContext context)
{
    readonly SynthesisFolder _folder = new(context.Output!);
    readonly KnownTexts _known = new();
    readonly List<Problem> _shown = [];
    readonly Dictionary<string, Problem> _kept = [];
    readonly List<SynthesisRound> _rounds = [];
    readonly VerifiedAnswers _answers = new(options.MinAgreement);

    /// <summary>Searches, and publishes what was kept.</summary>
    /// <exception cref="InvalidInputException">Settings, files or the folder are wrong, or nothing was found.</exception>
    /// <exception cref="ExternalFailureException">The teacher failed; what was collected is kept.</exception>
    public async Task<SynthesizeSummary> RunAsync(CancellationToken cancellationToken)
    {
        SynthesisIdentity.Ensure(options, _folder, context);
        await ReadFilesAsync(cancellationToken);
        try
        {
            return await PublishAsync(await SearchAsync(cancellationToken), stoppedBy: null, cancellationToken);
        }
        catch (BudgetSpentException spent) when (_kept.Count > 0)
        {
            return await PublishAsync(spent.Message, stoppedBy: "budget", cancellationToken);
        }
    }

    /// <returns>Why the search ended before its last round; null where it did not.</returns>
    async Task<string?> SearchAsync(CancellationToken cancellationToken)
    {
        ProblemSearch? search =
            options.SearchedFamilies.Count == 0
                ? null
                : new ProblemSearch(options.SearchedFamilies, options.Levels, options.Seed, problem => !_known.Add(problem));
        ProblemArm[] arms =
        [
            .. search?.Arms ?? [],
            .. options.InventPrompt is null ? [] : new[] { new ProblemArm(InventedProblems.Family, 0) },
        ];
        var teacher = new SynthesisTeacher(options, _folder, context);
        double[] shares = [.. arms.Select(_ => 1.0 / arms.Length)];
        for (var round = 1; round <= options.Rounds; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var drawnFrom = _shown.Count == 0 ? WithoutInvented(shares) : shares;
            var counts = ProblemSearch.Apportion(drawnFrom, options.ResolveCandidates(), options.Seed, round);
            Directory.CreateDirectory(_folder.Round(round).Path);
            // Drawn again where the round is there already: what comes after depends on it.
            var candidates = (search?.Draw(counts) ?? []).ToList();
            if (options.InventPrompt is not null && counts[^1] > 0)
            {
                var invented = await InventAsync(teacher, round, counts[^1], cancellationToken);
                candidates.AddRange(invented.Select(problem => (arms.Length - 1, problem)));
            }

            if (candidates.Count == 0)
            {
                return WhyDry(round);
            }

            var done = await RoundAsync(teacher, round, arms, drawnFrom, candidates, cancellationToken);
            Take(done, candidates);
            shares = ProblemSearch.Move(shares, [.. done.Arms.Select(arm => arm.Kept)], options.Exploration);
            Tell(done, arms, shares);
        }

        return null;

        // Nothing can be shown before any was kept: the families have its share.
        double[] WithoutInvented(double[] all) =>
            options.InventPrompt is null ? all : [.. all[..^1].Select(share => share / Math.Max(1e-12, 1 - all[^1])), 0];
    }

    async Task<SynthesisRound> RoundAsync(
        SynthesisTeacher teacher,
        int round,
        ProblemArm[] arms,
        double[] shares,
        List<(int Arm, Problem Problem)> candidates,
        CancellationToken cancellationToken
    )
    {
        var folder = _folder.Round(round);
        var isDone = File.Exists(folder.Result);
        var asked = await teacher.AnswerAsync(round, [.. candidates.Select(row => row.Problem)], cancellationToken);
        await foreach (var trace in SynthesisRoundFolder.ReadAsync(asked, softTargets: false, cancellationToken))
        {
            _answers.Count(trace);
        }

        if (isDone)
        {
            return folder.ReadResult();
        }

        var result = await new RoundMeasure(options, context, _answers).MeasureAsync(
            new DrawnRound(round, arms, shares, candidates),
            folder,
            most: options.KeptBy(round) - _kept.Count,
            mayBeNone: _rounds.Any(before => before.Compared > 0),
            cancellationToken
        );
        JsonFile.Write(folder.Result, result);
        return result;
    }

    /// <summary>Asks the teacher for problems like those that the student fails at.</summary>
    async Task<IReadOnlyList<Problem>> InventAsync(SynthesisTeacher teacher, int round, int count, CancellationToken cancellationToken)
    {
        var requests = InventedProblems.Requests(_shown, count, options.InventExamples, options.Seed, round);
        var asked = await teacher.InventAsync(round, requests, cancellationToken);
        var invented = new List<Problem>();
        await foreach (var trace in SynthesisRoundFolder.ReadAsync(asked, softTargets: false, cancellationToken))
        {
            if (InventedProblems.Read(trace) is { } problem && _known.Add(problem))
            {
                invented.Add(problem);
            }
        }

        return invented;
    }

    /// <summary>Shows the problems that a round kept from now on.</summary>
    void Take(SynthesisRound round, List<(int Arm, Problem Problem)> candidates)
    {
        var all = candidates.ToDictionary(row => row.Problem.Id, row => row.Problem);
        foreach (var (id, _) in round.Kept)
        {
            var problem = all.TryGetValue(id, out var candidate)
                ? _answers.WithAnswer(candidate)
                : throw new InvalidInputException(
                    $"{_folder.Round(round.Round).Result}: keeps problem {id}, which the round did not try; {SynthesisRoundFolder.Remedy}"
                );
            if (!_kept.TryAdd(id, problem))
            {
                throw new InvalidInputException(
                    $"{_folder.Round(round.Round).Result}: keeps problem {id} twice, or one of an earlier round; "
                        + SynthesisRoundFolder.Remedy
                );
            }

            _shown.Add(problem);
        }

        _rounds.Add(round);
    }

    void Tell(SynthesisRound round, ProblemArm[] arms, double[] next)
    {
        var best = next.Index().MaxBy(share => share.Item);
        context.Observer.Metrics(
            round.Round,
            new Dictionary<string, double>
            {
                ["disagreement"] = round.Disagreement,
                ["verified"] = (double)round.Verified / round.Candidates,
                ["compared"] = (double)round.Compared / round.Candidates,
            }
        );
        context.Observer.Message(
            FormattableString.Invariant($"round {round.Round} of {options.Rounds}: {round.Candidates:N0} problems tried, ")
                + FormattableString.Invariant($"{round.Verified:N0} verified")
                + (round.Compared == round.Verified ? "" : FormattableString.Invariant($" ({round.Compared:N0} of them compared)"))
                + FormattableString.Invariant($", disagreement {round.Disagreement:0.####}; kept {round.Kept.Count:N0} with ")
                + FormattableString.Invariant($"{round.Kept.Select(problem => problem.Disagreement).DefaultIfEmpty().Average():0.####}; ")
                + FormattableString.Invariant($"{best.Item:P0} of the next would be {arms[best.Index].Family}")
                + (arms[best.Index].Level > 0 ? FormattableString.Invariant($", level {arms[best.Index].Level}") : "")
        );
    }

    /// <summary>Why a round has nothing to try; the search ends there, and what was kept before is of use all the same.</summary>
    string WhyDry(int round) =>
        options.SearchedFamilies.Count == 0
            ? $"invent_prompt: in round {round} the teacher wrote no problem that is new; show it others, or look at its answers in "
                + _folder.Round(round).Invented
            : $"family: in round {round} there are no more problems of these families; lower count, or add families";

    /// <param name="end">Why the search ended before its last round; null where it did not.</param>
    /// <param name="stoppedBy">What a later run may go on from; null where it ended for good.</param>
    /// <param name="cancellationToken">Stops and leaves the rounds as they are.</param>
    async Task<SynthesizeSummary> PublishAsync(string? end, string? stoppedBy, CancellationToken cancellationToken)
    {
        if (_rounds.Count == 0)
        {
            throw new InvalidInputException(end!);
        }

        if (_kept.Count == 0)
        {
            throw new InvalidInputException(
                $"nothing was kept of {_rounds.Sum(round => round.Candidates):N0} problems: the teacher's answers to "
                    + $"{_rounds.Sum(round => round.Verified):N0} were verified, {_rounds.Sum(round => round.Compared):N0} were compared "
                    + "with the student's, and at none of these is it as far from the teacher as min_disagreement says"
            );
        }

        if (end is not null)
        {
            context.Observer.Message($"{end}; published is what the rounds before kept");
        }

        var manifest = await new SynthesisPublication(options, _folder, _answers).WriteAsync(_rounds, _kept, cancellationToken);
        if (end is null && _kept.Count < options.Count)
        {
            context.Observer.Message(
                $"{_kept.Count:N0} problems of {options.Count:N0} were kept: the others were not verified, or the student agrees on them; "
                    + "try more candidates"
            );
        }

        return new SynthesizeSummary(
            _kept.Count,
            manifest.Rows,
            manifest.Tokens,
            _rounds.Sum(round => round.Candidates),
            _rounds.Sum(round => round.Verified),
            _rounds.Sum(round => round.Compared),
            _rounds
        )
        {
            StoppedBy = stoppedBy,
        };
    }

    async Task ReadFilesAsync(CancellationToken cancellationToken)
    {
        foreach (var file in options.HeldOut)
        {
            await foreach (var problem in ProblemReader.ReadAsync(file, options, cancellationToken: cancellationToken))
            {
                _known.Add(problem);
            }
        }

        if (options.Problems is { } first)
        {
            await foreach (var problem in ProblemReader.ReadAsync(first, options, cancellationToken: cancellationToken))
            {
                _known.Add(problem);
                _shown.Add(problem);
            }
        }

        if (options.SearchedFamilies.Count == 0 && _shown.Count == 0)
        {
            throw new InvalidInputException($"problems: {options.Problems} holds none that invent_prompt could show");
        }
    }
}
