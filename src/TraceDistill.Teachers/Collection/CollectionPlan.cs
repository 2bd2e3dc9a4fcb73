using System.Runtime.CompilerServices;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Traces;
using TraceDistill.Teachers.Prompts;

namespace TraceDistill.Teachers.Collection;

/// <summary>A trace to be collected.</summary>
/// <param name="Position">Its place in the plan.</param>
/// <param name="Problem">The problem.</param>
/// <param name="SampleIndex">Which sample of it.</param>
/// <param name="Request">What the teacher is asked.</param>
sealed record PlannedTrace(int Position, Problem Problem, int SampleIndex, GenerationRequest Request);

/// <summary>All traces of a run, in the order in which they will stand in the shards: by problem, then by sample.</summary>
/// <remarks>
/// Problems are streamed: held are 16 bytes of each trace, found in a first pass over the problems; whoever wants the requests makes another.
/// </remarks>
sealed class CollectionPlan
{
    readonly ProblemSource _problems;
    readonly PromptTemplate _prompt;
    readonly SamplingSettings _sampling;
    readonly int _samplesPerProblem;
    readonly long _seed;

    CollectionPlan(ProblemSource problems, PromptTemplate prompt, string teacher, SamplingSettings sampling, int samplesPerProblem, long seed)
    {
        (_problems, _prompt, Teacher, _sampling, _samplesPerProblem, _seed) = (problems, prompt, teacher, sampling, samplesPerProblem, seed);
    }

    public string Teacher { get; }

    /// <summary>Ids of all traces, in order.</summary>
    public TraceKey[] Keys { get; private set; } = [];

    /// <exception cref="InvalidInputException">The problems cannot be read.</exception>
    public static async Task<CollectionPlan> CreateAsync(
        ProblemSource problems, PromptTemplate prompt, string teacher, SamplingSettings sampling, int samplesPerProblem, long seed, CancellationToken cancellationToken)
    {
        var plan = new CollectionPlan(problems, prompt, teacher, sampling, samplesPerProblem, seed);
        var keys = new List<TraceKey>();
        await foreach (var problem in problems.ReadAsync(cancellationToken))
        {
            var messages = prompt.Render(problem);
            for (var sample = 0; sample < samplesPerProblem; sample++)
            {
                keys.Add(plan.KeyOf(problem, messages, sample, out _));
            }
        }

        plan.Keys = [.. keys];
        return plan;
    }

    /// <summary>The requests at the positions that are wanted, in order.</summary>
    /// <exception cref="InvalidInputException">The problems are no longer those that the plan was made of.</exception>
    public async IAsyncEnumerable<PlannedTrace> ReadAsync(Predicate<int> isWanted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var first = 0;
        await foreach (var problem in _problems.ReadAsync(cancellationToken))
        {
            IReadOnlyList<ChatMessage>? messages = null;
            for (var sample = 0; sample < _samplesPerProblem; sample++)
            {
                var position = first + sample;
                if (position < Keys.Length && !isWanted(position))
                {
                    continue;
                }

                messages ??= _prompt.Render(problem);
                var key = KeyOf(problem, messages, sample, out var sampling);
                yield return position < Keys.Length && key == Keys[position]
                    ? new PlannedTrace(position, problem, sample, new GenerationRequest(key.ToString(), messages, sampling))
                    : throw new InvalidInputException($"{_problems.Path}: was changed while its traces were collected; run the same command again");
            }

            first += _samplesPerProblem;
        }
    }

    TraceKey KeyOf(Problem problem, IReadOnlyList<ChatMessage> messages, int sample, out SamplingSettings sampling)
    {
        sampling = _sampling with { Seed = SampleSeed.Of(_seed, problem.Id, sample) };
        return TraceId.KeyOf(problem.Id, messages, Teacher, sampling, sample);
    }
}
