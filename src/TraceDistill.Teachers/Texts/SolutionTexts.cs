using System.Runtime.CompilerServices;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Texts;

/// <summary>
/// Worked solutions of problems, each as the trace that <c>train</c> makes of it: the solution is the reasoning, and the answer follows it.
/// </summary>
sealed class SolutionTexts : ITextSource
{
    /// <summary>The writer of solutions, and how they came to their end.</summary>
    public const string Writer = "human";

    /// <summary>Tokens of a long solution: shards are cut so that they stay of a handy size.</summary>
    const int LongSolution = 2_048;

    readonly ProblemSource _problems;
    readonly IVerifier _verifier;

    public SolutionTexts(ScoreOptions options, IVerifier verifier)
    {
        _problems = new ProblemSource(options.Problems!, Limit: null, Partition.Whole) { Options = options };
        _verifier = verifier;
        Cut = BlockCut.Every(StoreOptions.RowsFor(LongSolution, options.Alternatives, options.Layout));
    }

    public string Path => _problems.Path;

    public DatasetDescription? Dataset => null;

    public BlockCut Cut { get; }

    /// <summary>Counts of what was read of the problem file.</summary>
    public ProblemCounts Counts { get; } = new();

    /// <summary>Problems without a worked solution, which are left out.</summary>
    public int Unsolved { get; private set; }

    public async IAsyncEnumerable<string> ReadIdsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (_, problem) in _problems.ReadAsync(Counts, cancellationToken))
        {
            if (IsSolved(problem))
            {
                yield return IdOf(problem);
            }
            else
            {
                Unsolved++;
            }
        }
    }

    public async IAsyncEnumerable<(int Position, Trace Trace)> ReadAsync(
        Predicate<int> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var position = 0;
        await foreach (var (_, problem) in _problems.ReadAsync(new ProblemCounts(), cancellationToken))
        {
            if (IsSolved(problem) && isWanted(position++))
            {
                yield return (position - 1, TraceOf(problem));
            }
        }
    }

    static bool IsSolved(Problem problem) => !string.IsNullOrWhiteSpace(problem.Solution);

    /// <summary>By the solution too: with another one it is another trace.</summary>
    static string IdOf(Problem problem) =>
        TraceId.Create(
            problem.Id,
            [.. problem.Conversation(), new ChatMessage("assistant", TextOf(problem))],
            Writer,
            new SamplingSettings(),
            sampleIndex: 0
        );

    static string TextOf(Problem problem) => ReasoningSplitter.Join(problem.Solution!, problem.Answer);

    Trace TraceOf(Problem problem) =>
        new()
        {
            Id = IdOf(problem),
            ProblemId = problem.Id,
            Source = problem.Family,
            Messages = problem.Conversation(),
            Reasoning = problem.Solution!,
            Answer = problem.Answer,
            Generation = TextOf(problem),
            ExpectedAnswer = problem.Answer,
            FinishReason = Writer,
            Verdict = _verifier.Verify(problem.Answer, problem).ToName(),
            Temperature = 1,
            TopP = 1,
            Teacher = Writer,
            CreatedAt = DateTimeOffset.UnixEpoch, // nobody collected it, and equal sources give equal bytes
        };
}
