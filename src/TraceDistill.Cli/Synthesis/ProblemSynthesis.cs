using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Synthesis;

/// <summary>
/// Data-free distillation by search: rounds of problems that nobody collected, of which those are kept that the teacher verifiably solves
/// and at which the student is farthest from it. A round is a collection of its own in <c>rounds/N</c> and goes on where it was stopped.
/// </summary>
/// <param name="options">Its settings, with the endpoint of a model that is served.</param>
/// <param name="context">Where it runs.</param>
sealed class ProblemSynthesis(SynthesizeOptions options, StageContext context)
{
    public const string RoundsFolder = "rounds";
    public const string ProblemsFile = "train.jsonl";
    const string DataFile = "disagreement.json";
    const string TableFile = "disagreement.md";
    const string RoundFile = "round.json";
    const string SettingsFile = ".synthesis.json";

    readonly KnownTexts _known = new();
    readonly List<Problem> _shown = [];
    readonly Dictionary<string, Problem> _kept = [];
    readonly List<SynthesisRound> _rounds = [];
    readonly AnswerAgreement _agreement = new(MathVerifier.Instance);

    /// <summary>Searches, and publishes what was kept.</summary>
    /// <exception cref="InvalidInputException">Settings, files or the folder are wrong, or nothing was found.</exception>
    /// <exception cref="ExternalFailureException">The teacher failed; what was collected is kept.</exception>
    public async Task<SynthesizeSummary> RunAsync(CancellationToken cancellationToken)
    {
        EnsureSameSettings();
        await ReadFilesAsync(cancellationToken);
        ProblemSearch? search =
            options.SearchedFamilies.Count == 0
                ? null
                : new ProblemSearch(options.SearchedFamilies, options.Levels, options.Seed, problem => !_known.Add(problem));
        ProblemArm[] arms =
        [
            .. search?.Arms ?? [],
            .. options.InventPrompt is null ? [] : new[] { new ProblemArm(InventedProblems.Family, 0) },
        ];
        double[] shares = [.. arms.Select(_ => 1.0 / arms.Length)];
        for (var round = 1; round <= options.Rounds; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var drawnFrom = _shown.Count == 0 ? WithoutInvented(shares) : shares;
            var counts = ProblemSearch.Apportion(drawnFrom, options.ResolveCandidates());
            var folder = Directory.CreateDirectory(Path.Combine(context.Output!, RoundsFolder, $"{round}")).FullName;
            // Drawn again where the round is there already: what comes after depends on it.
            var candidates = (search?.Draw(counts) ?? []).ToList();
            if (options.InventPrompt is not null && counts[^1] > 0)
            {
                candidates.AddRange(
                    (await InventAsync(folder, round, counts[^1], cancellationToken)).Select(problem => (arms.Length - 1, problem))
                );
            }

            var done = await RoundAsync(folder, round, arms, drawnFrom, candidates, cancellationToken);
            Take(done, candidates);
            shares = ProblemSearch.Move(shares, [.. done.Arms.Select(arm => arm.Kept)], options.Exploration);
            Tell(done, arms, shares);
        }

        return await PublishAsync(cancellationToken);

        // Nothing can be shown before any was kept: the families have its share.
        double[] WithoutInvented(double[] all) =>
            options.InventPrompt is null ? all : [.. all[..^1].Select(share => share / Math.Max(1e-12, 1 - all[^1])), 0];
    }

    async Task<SynthesisRound> RoundAsync(
        string folder,
        int round,
        ProblemArm[] arms,
        double[] shares,
        List<(int Arm, Problem Problem)> candidates,
        CancellationToken cancellationToken
    )
    {
        var file = Path.Combine(folder, RoundFile);
        var isDone = File.Exists(file);
        if (candidates.Count == 0)
        {
            throw new InvalidInputException(
                options.SearchedFamilies.Count == 0
                    ? $"invent_prompt: in round {round} the teacher wrote no problem that is new; show it others, or look at its "
                        + "answers in "
                        + Path.Combine(folder, InventedProblems.Family)
                    : "family: there are no more problems of these families; lower count, or add families"
            );
        }

        var asked = await AskAsync(
            folder,
            "candidates.jsonl",
            CollectionOf(folder),
            [.. candidates.Select(row => row.Problem)],
            options.Prompt,
            isInvention: false,
            cancellationToken
        );
        await foreach (var trace in ReadTracesAsync(asked, softTargets: false, cancellationToken))
        {
            _agreement.Count(trace);
        }

        if (isDone)
        {
            return JsonFile.Read<SynthesisRound>(file);
        }

        var right = new HashSet<string>();
        await foreach (var trace in ReadTracesAsync(asked, softTargets: false, cancellationToken).Where(IsRight))
        {
            right.Add(trace.ProblemId);
        }

        Problem[] verified = [.. candidates.Select(row => WithAnswer(row.Problem)).Where(problem => right.Contains(problem.Id))];
        var disagreement = await new StudentDisagreement(options, context).MeasureAsync(
            verified,
            asked,
            IsRight,
            Path.Combine(folder, "student"),
            cancellationToken
        );
        var most = options.KeptBy(round) - _kept.Count;
        KeptProblem[] kept =
        [
            .. verified
                .Where(problem => disagreement.TryGetValue(problem.Id, out var value) && value > 0 && value >= options.MinDisagreement)
                .Select(problem => new KeptProblem(problem.Id, disagreement[problem.Id]))
                .OrderByDescending(problem => problem.Disagreement)
                .Take(most),
        ];
        var result = new SynthesisRound(round, [.. arms.Select(ResultOf)], kept);
        JsonFile.Write(file, result);
        return result;

        SynthesisArm ResultOf(ProblemArm arm, int index)
        {
            var own = candidates.Where(row => row.Arm == index).Select(row => row.Problem.Id).ToHashSet();
            var known = own.Where(disagreement.ContainsKey).Select(id => disagreement[id]).ToList();
            return new SynthesisArm(
                arm.Family,
                arm.Level,
                shares[index],
                own.Count,
                known.Count,
                known.Count == 0 ? 0 : known.Average(),
                kept.Count(problem => own.Contains(problem.Id))
            );
        }
    }

    /// <summary>Asks the teacher for problems like those that the student fails at.</summary>
    async Task<IReadOnlyList<Problem>> InventAsync(string folder, int round, int count, CancellationToken cancellationToken)
    {
        var requests = InventedProblems.Requests(_shown, count, options.InventExamples, options.Seed, round);
        var collection = Path.Combine(folder, InventedProblems.Family);
        var asked = await AskAsync(
            folder,
            "requests.jsonl",
            collection,
            requests,
            options.InventPrompt!,
            isInvention: true,
            cancellationToken
        );
        var invented = new List<Problem>();
        await foreach (var trace in ReadTracesAsync(asked, softTargets: false, cancellationToken))
        {
            if (InventedProblems.Read(trace) is { } problem && _known.Add(problem))
            {
                invented.Add(problem);
            }
        }

        return invented;
    }

    /// <summary>Collects what is missing of a collection.</summary>
    /// <returns>Its folder.</returns>
    async Task<string> AskAsync(
        string folder,
        string name,
        string collection,
        IReadOnlyList<Problem> problems,
        string prompt,
        bool isInvention,
        CancellationToken cancellationToken
    )
    {
        var file = Path.Combine(folder, name);
        await ProblemWriter.WriteAsync(file, problems, cancellationToken);
        var (tokens, cost) = Spent();
        var summary = await CollectStage.RunAsync(
            GenerationOf(file, prompt, isInvention) with
            {
                // What the other collections have left over; a budget is of at least something.
                MaxTokensTotal = options.MaxTokensTotal is { } most ? Math.Max(1, most - (tokens - TokensOf(collection))) : null,
                MaxCost = options.MaxCost is { } dear ? Math.Max(1e-9, dear - (cost - CostOf(collection))) : null,
            },
            collection,
            MathVerifier.Instance,
            context.Observer,
            context.TimeProvider,
            cancellationToken
        );
        if (summary.StoppedBy is not null)
        {
            throw new InvalidInputException(
                $"{(options.MaxTokensTotal is null ? "max_cost" : "max_tokens_total")}: is spent in round {_rounds.Count + 1} of "
                    + $"{options.Rounds}; what was collected is kept: raise it and run the same command again"
            );
        }

        return collection;
    }

    GenerateOptions GenerationOf(string problems, string prompt, bool isInvention) =>
        new(options)
        {
            Problems = problems,
            Prompt = prompt,
            System = isInvention ? null : options.System,
            ExtraBody = options.ExtraBody,
            TopLogprobs = isInvention ? 0 : options.TopLogprobs,
            RequireSoftTargets = !isInvention && options.TopLogprobs > 0,
            SamplesPerProblem = isInvention ? 1 : options.SamplesPerProblem,
            Temperature = isInvention ? 1 : options.Temperature,
            TopP = options.TopP,
            MaxTokens = options.MaxTokens,
            Seed = options.Seed,
            Partition = "0/1",

            // Those of files that the user names, and not of these.
            ProblemField = [],
            AnswerField = null,
            SolutionField = null,
        };

    /// <summary>Task of the first round: the words in which a student of the traces is asked.</summary>
    public GenerateOptions Generation => GenerationOf(Path.Combine(context.Output!, ProblemsFile), options.Prompt, isInvention: false);

    (long Tokens, double Cost) Spent() =>
        Directory
            .GetDirectories(Path.Combine(context.Output!, RoundsFolder))
            .SelectMany(round => new[] { CollectionOf(round), Path.Combine(round, InventedProblems.Family) })
            .Aggregate((0L, 0.0), (sum, folder) => (sum.Item1 + TokensOf(folder), sum.Item2 + CostOf(folder)));

    static long TokensOf(string collection) => CollectStage.UsageOf(collection)?.Tokens ?? 0;

    static double CostOf(string collection) => CollectStage.UsageOf(collection)?.Cost ?? 0;

    /// <summary>Returns whether a trace's answer is the known one, or, where none is known, the one that the samples agree on.</summary>
    bool IsRight(Trace trace) =>
        trace.ExpectedAnswer.Length > 0 ? trace.Verdict == Verdict.Correct.ToName() : _agreement.Agrees(trace, options.MinAgreement);

    Problem WithAnswer(Problem problem) =>
        problem.Answer.Length > 0 ? problem : problem with { Answer = _agreement.Agreed(problem.Id, options.MinAgreement) ?? "" };

    /// <summary>Shows the problems that a round kept from now on.</summary>
    void Take(SynthesisRound round, List<(int Arm, Problem Problem)> candidates)
    {
        var all = candidates.ToDictionary(row => row.Problem.Id, row => row.Problem);
        foreach (var (id, _) in round.Kept)
        {
            var problem = WithAnswer(all[id]);
            _kept.Add(id, problem);
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
            }
        );
        context.Observer.Message(
            FormattableString.Invariant(
                $"round {round.Round} of {options.Rounds}: {round.Candidates:N0} problems tried, {round.Verified:N0} "
            )
                + FormattableString.Invariant($"verified, disagreement {round.Disagreement:0.####}; kept {round.Kept.Count:N0} with ")
                + FormattableString.Invariant($"{round.Kept.Select(problem => problem.Disagreement).DefaultIfEmpty().Average():0.####}; ")
                + FormattableString.Invariant($"{best.Item:P0} of the next would be {arms[best.Index].Family}")
                + (arms[best.Index].Level > 0 ? FormattableString.Invariant($", level {arms[best.Index].Level}") : "")
        );
    }

    async Task<SynthesizeSummary> PublishAsync(CancellationToken cancellationToken)
    {
        if (_kept.Count == 0)
        {
            throw new InvalidInputException(
                $"nothing was kept of {_rounds.Sum(round => round.Candidates):N0} problems: the teacher's answers to "
                    + $"{_rounds.Sum(round => round.Verified):N0} were verified, and on none is the student as far from them as "
                    + "min_disagreement says"
            );
        }

        await ProblemWriter.WriteAsync(Path.Combine(context.Output!, ProblemsFile), _kept.Values, cancellationToken);
        JsonFile.Write(Path.Combine(context.Output!, DataFile), _rounds);
        AtomicFile.WriteAllText(Path.Combine(context.Output!, TableFile), Table());
        var source = ShardManifest.Load(CollectionOf(FolderOf(1)))!;
        await using var writer = await ShardWriter.CreateAsync(
            context.Output!,
            source.Dataset,
            new ShardWriterOptions { Layout = options.Layout },
            cancellationToken
        );
        var collected = 0L;
        foreach (var round in _rounds)
        {
            await foreach (var trace in ReadTracesAsync(CollectionOf(FolderOf(round.Round)), softTargets: true, cancellationToken))
            {
                collected++;
                if (_kept.TryGetValue(trace.ProblemId, out var problem) && IsRight(trace))
                {
                    await writer.WriteAsync(
                        trace with
                        {
                            ExpectedAnswer = problem.Answer,
                            // What the samples agree on is the answer of a problem that nobody has solved.
                            Verdict = Verdict.Correct.ToName(),
                        },
                        cancellationToken
                    );
                }
            }
        }

        var selection = new TraceSelection(
            OnlyCorrect: true,
            collected,
            collected - writer.Rows,
            RoundsFolder,
            options.InventPrompt is null ? null : options.MinAgreement
        );
        var manifest = await writer.CompleteAsync(selection, source.Capabilities, cancellationToken);
        if (_kept.Count < options.Count)
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
            _rounds
        );
    }

    /// <summary>A row for each place of the search, by round: share of candidates, disagreement of those verified, number kept.</summary>
    string Table()
    {
        var table = new StringBuilder("| family, level |");
        foreach (var round in _rounds)
        {
            table.Append(CultureInfo.InvariantCulture, $" round {round.Round}: share | disagreement | kept |");
        }

        table.Append("\n| --- |").Insert(table.Length, " --- |", 3 * _rounds.Count).Append('\n');
        for (var arm = 0; arm < _rounds[0].Arms.Count; arm++)
        {
            var of = _rounds[0].Arms[arm];
            table.Append(CultureInfo.InvariantCulture, $"| {of.Family}{(of.Level > 0 ? $", {of.Level}" : "")} |");
            foreach (var result in _rounds.Select(round => round.Arms[arm]))
            {
                var disagreement = result.Verified == 0 ? "" : result.Disagreement.ToString("0.####", CultureInfo.InvariantCulture);
                table.Append(CultureInfo.InvariantCulture, $" {100 * result.Share:0.#} % | {disagreement} | {result.Kept} |");
            }

            table.Append('\n');
        }

        table.Append("| all |");
        foreach (var round in _rounds)
        {
            table.Append(CultureInfo.InvariantCulture, $" {round.Candidates} tried | {round.Disagreement:0.####} | {round.Kept.Count} |");
        }

        return table.Append('\n').ToString();
    }

    static async IAsyncEnumerable<Trace> ReadTracesAsync(
        string collection,
        bool softTargets,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(
            collection,
            new ShardReaderOptions { SoftTargets = softTargets, VerifyChecksums = softTargets },
            cancellationToken
        );
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            yield return trace;
        }
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

    /// <summary>Rounds follow from each other, so that they are of no use under other settings.</summary>
    void EnsureSameSettings()
    {
        var file = Path.Combine(context.Output!, SettingsFile);
        var settings = JsonSerializer.Serialize(
            new
            {
                Student = ContentDigest.Combine(ContentDigest.Of(options.Student)),
                options.Count,
                options.Rounds,
                Candidates = options.ResolveCandidates(),
                options.Disagreement,
                options.MinDisagreement,
                Families = options.SearchedFamilies,
                options.Levels,
                options.Exploration,
                options.InventPrompt,
                options.InventExamples,
                options.SamplesPerProblem,
                options.MinAgreement,
                options.Seed,
                Files = options
                    .HeldOut.Append(options.Problems)
                    .OfType<string>()
                    .Select(path => ContentDigest.Combine(ContentDigest.Of(path))),
            },
            JsonFile.Line
        );
        var digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(settings)));
        if (File.Exists(file) && JsonFile.Read<string>(file) != digest)
        {
            throw new InvalidInputException(
                $"{context.Output}: holds rounds of a search with other settings, another student or other files, from which these do not "
                    + "follow; name another folder with --out, or delete it"
            );
        }

        Directory.CreateDirectory(Path.Combine(context.Output!, RoundsFolder));
        JsonFile.Write(file, digest);
    }

    string FolderOf(int round) => Path.Combine(context.Output!, RoundsFolder, $"{round}");

    static string CollectionOf(string folder) => Path.Combine(folder, "traces");
}

/// <summary>Result of a search.</summary>
/// <param name="Problems">Problems kept.</param>
/// <param name="Traces">The teacher's verified traces of them.</param>
/// <param name="Tokens">Tokens in them.</param>
/// <param name="Candidates">Problems tried.</param>
/// <param name="Verified">Those with a verified answer.</param>
/// <param name="Rounds">By round.</param>
sealed record SynthesizeSummary(
    long Problems,
    long Traces,
    long Tokens,
    long Candidates,
    long Verified,
    IReadOnlyList<SynthesisRound> Rounds
);
