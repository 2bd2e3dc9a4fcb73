using TraceDistill.Cli.Stages;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Synthesis;

/// <summary>The teacher of a search: a collection for each thing that a round asks it, and one budget for all of them.</summary>
/// <param name="options">Name it and what it is asked.</param>
/// <param name="folder">Where the collections lie.</param>
/// <param name="context">Where it runs.</param>
sealed class SynthesisTeacher(SynthesizeOptions options, SynthesisFolder folder, StageContext context)
{
    readonly ToldOnce _observer = new(context.Observer);

    /// <summary>Has problems answered, as far as they are not yet.</summary>
    /// <returns>Folder of the answers.</returns>
    /// <exception cref="BudgetSpentException">Some are not; what was answered is kept.</exception>
    /// <exception cref="InvalidInputException">The teacher's answers would be no data set with those of the first round.</exception>
    public Task<string> AnswerAsync(int round, IReadOnlyList<Problem> candidates, CancellationToken cancellationToken)
    {
        var files = folder.Round(round);
        var asking = AnsweringOf(options, files.Candidates);
        var first = round == 1 ? null : folder.Round(1).Traces;
        return AskAsync(round, files.Candidates, files.Traces, candidates, asking, first, cancellationToken);
    }

    /// <summary>Has problems written, as far as they are not yet.</summary>
    /// <returns>Folder of what it wrote.</returns>
    /// <inheritdoc cref="AnswerAsync" path="/exception"/>
    public Task<string> InventAsync(int round, IReadOnlyList<Problem> requests, CancellationToken cancellationToken)
    {
        var files = folder.Round(round);
        var asking = InventionOf(options, files.Requests);
        return AskAsync(round, files.Requests, files.Invented, requests, asking, among: null, cancellationToken);
    }

    /// <summary>The collection of answers to a file of problems.</summary>
    public static GenerateOptions AnsweringOf(SynthesizeOptions options, string problems) =>
        Common(options, problems) with
        {
            Prompt = options.Prompt,
            System = options.System,
            TopLogprobs = options.TopLogprobs,
            RequireSoftTargets = options.TopLogprobs > 0,
            SamplesPerProblem = options.SamplesPerProblem,
            Temperature = options.Temperature,
        };

    /// <summary>
    /// The collection of problems that it writes. They are to differ, so that they are drawn at temperature 1, whatever that of the
    /// answers is.
    /// </summary>
    public static GenerateOptions InventionOf(SynthesizeOptions options, string requests) =>
        Common(options, requests) with
        {
            Prompt = options.InventPrompt!,
            TopLogprobs = 0,
            RequireSoftTargets = false,
            SamplesPerProblem = 1,
            Temperature = 1,
        };

    static GenerateOptions Common(SynthesizeOptions options, string problems) =>
        new(options)
        {
            Problems = problems,
            Prompt = options.Prompt,
            ExtraBody = options.ExtraBody,
            TopP = options.TopP,
            MaxTokens = options.MaxTokens,
            Seed = options.Seed,
            Partition = "0/1",

            // Those of files that the user names, and not of these.
            ProblemField = [],
            AnswerField = null,
            SolutionField = null,
        };

    async Task<string> AskAsync(
        int round,
        string file,
        string collection,
        IReadOnlyList<Problem> problems,
        GenerateOptions asking,
        string? among,
        CancellationToken cancellationToken
    )
    {
        await ProblemWriter.WriteAsync(file, problems, cancellationToken);
        var (tokens, cost) = Spent();
        _observer.Begin();
        string? spent;
        try
        {
            var summary = await CollectStage.RunAsync(
                asking with
                {
                    // What the other collections have left over; a budget is of at least something.
                    MaxTokensTotal = options.MaxTokensTotal is { } most ? Math.Max(1, most - (tokens - TokensOf(collection))) : null,
                    MaxCost = options.MaxCost is { } dear ? Math.Max(1e-9, dear - (cost - CostOf(collection))) : null,
                },
                collection,
                MathVerifier.Instance,
                _observer,
                context.TimeProvider,
                () => { },
                among,
                cancellationToken
            );
            spent = summary.SpentSetting;
        }
        catch (BudgetSpentException none) when (tokens > 0)
        {
            // Its advice is that of a collection by itself, and here others have taken most of it.
            spent = none.Setting;
        }

        return spent is null
            ? collection
            : throw new BudgetSpentException(
                spent,
                $"is spent in round {round} of {options.Rounds}; what was collected is kept: raise it and run the same command again"
            );
    }

    (long Tokens, double Cost) Spent() =>
        folder
            .Begun()
            .SelectMany(round => new[] { round.Traces, round.Invented })
            .Aggregate((0L, 0.0), (sum, collection) => (sum.Item1 + TokensOf(collection), sum.Item2 + CostOf(collection)));

    static long TokensOf(string collection) => CollectStage.UsageOf(collection)?.Tokens ?? 0;

    static double CostOf(string collection) => CollectStage.UsageOf(collection)?.Cost ?? 0;
}
