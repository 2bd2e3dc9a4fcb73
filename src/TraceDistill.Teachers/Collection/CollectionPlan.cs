using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Determinism;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>A trace to be collected.</summary>
/// <param name="Position">Its place in the plan.</param>
/// <param name="Problem">The problem.</param>
/// <param name="SampleIndex">Which sample of it.</param>
/// <param name="Request">Request to the teacher.</param>
sealed record PlannedTrace(int Position, Problem Problem, int SampleIndex, GenerationRequest Request);

/// <summary>All traces of a run, in the order in which they will stand in the shards: by problem, then by sample.</summary>
/// <remarks>
/// Problems are streamed: held are 16 bytes of each trace and 12 of each problem, found in a first pass over the
/// problems; whoever wants requests reads their problems again.
/// </remarks>
sealed class CollectionPlan : ITracePlan
{
    readonly ProblemSource _problems;
    readonly PromptSet _prompts;
    readonly SamplingSettings _sampling;
    readonly int _samplesPerProblem;
    readonly long _seed;

    CollectionPlan(ProblemSource problems, PromptSet prompts, string teacher, SamplingSettings sampling, int samplesPerProblem, long seed)
    {
        (_problems, _prompts, Teacher, _sampling, _samplesPerProblem, _seed) = (
            problems,
            prompts,
            teacher,
            sampling,
            samplesPerProblem,
            seed
        );
    }

    public string Teacher { get; }

    /// <summary>Name of the prompts in the data set.</summary>
    public string PromptName => _prompts.Name;

    /// <summary>Counts of what was read of the problem file.</summary>
    public ProblemCounts Counts { get; } = new();

    /// <summary>Ids of all traces, in order.</summary>
    public TraceKey[] Keys { get; private set; } = [];

    /// <summary>Where each problem stands in the file.</summary>
    int[] Records { get; set; } = [];

    /// <summary>Of each problem the digest of its answer.</summary>
    ulong[] Answers { get; set; } = [];

    /// <summary>Returns whether the problem of a trace has this answer.</summary>
    public bool HasAnswer(int position, string answer) => Answers[position / _samplesPerProblem] == Digest(answer);

    static ulong Digest(string answer) => BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(answer)));

    /// <exception cref="InvalidInputException">The problems cannot be read.</exception>
    public static async Task<CollectionPlan> CreateAsync(
        ProblemSource problems,
        PromptSet prompts,
        string teacher,
        SamplingSettings sampling,
        int samplesPerProblem,
        long seed,
        CancellationToken cancellationToken
    )
    {
        var plan = new CollectionPlan(problems, prompts, teacher, sampling, samplesPerProblem, seed);
        var (keys, records, answers) = (new List<TraceKey>(), new List<int>(), new List<ulong>());
        await foreach (
            var (record, answer, found) in problems
                .ReadAsync(plan.Counts, cancellationToken)
                .MapInOrderAsync(read => (read.Record, Digest(read.Problem.Answer), plan.KeysOf(read.Problem)), cancellationToken)
        )
        {
            records.Add(record);
            answers.Add(answer);
            keys.AddRange(found);
        }

        (plan.Keys, plan.Records, plan.Answers) = ([.. keys], [.. records], [.. answers]);
        return plan;
    }

    /// <summary>The requests at the positions that are wanted, in order.</summary>
    /// <exception cref="InvalidInputException">The problems are no longer those that the plan was made of.</exception>
    public async IAsyncEnumerable<PlannedTrace> ReadAsync(
        Predicate<int> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var next = 0; // the problem of the plan that is looked for
        var found = new Queue<int>();
        await foreach (var problem in _problems.ReadSomeAsync(IsWantedRecord, cancellationToken))
        {
            var first = found.Dequeue() * _samplesPerProblem;
            var rendered = _prompts.For(problem);
            for (var sample = 0; sample < _samplesPerProblem; sample++)
            {
                if (!isWanted(first + sample))
                {
                    continue;
                }

                var messages = rendered.Messages(sample);
                var key = KeyOf(problem, messages, sample, out var sampling);
                yield return key == Keys[first + sample]
                    ? new PlannedTrace(first + sample, problem, sample, new GenerationRequest(key.ToString(), messages, sampling))
                    : throw Changed();
            }
        }

        if (next < Records.Length)
        {
            throw Changed();
        }

        InvalidInputException Changed() =>
            new($"{_problems.Path}: was changed while its traces were collected; run the same command again");

        bool IsWantedRecord(int record)
        {
            if (next == Records.Length || Records[next] != record)
            {
                return false;
            }

            var first = next * _samplesPerProblem;
            if (!Enumerable.Range(first, _samplesPerProblem).Any(position => isWanted(position)))
            {
                next++;
                return false;
            }

            found.Enqueue(next++);
            return true;
        }
    }

    /// <inheritdoc/>
    public Task<string?> DescribeLeftOverAsync(IAsyncEnumerable<Trace> leftOver, bool isKnown, CancellationToken cancellationToken) =>
        LeftOver.OfPlanAsync(_problems, _samplesPerProblem, leftOver, isKnown, cancellationToken);

    TraceKey[] KeysOf(Problem problem)
    {
        var rendered = _prompts.For(problem);
        return [.. Enumerable.Range(0, _samplesPerProblem).Select(sample => KeyOf(problem, rendered.Messages(sample), sample, out _))];
    }

    TraceKey KeyOf(Problem problem, IReadOnlyList<ChatMessage> messages, int sample, out SamplingSettings sampling)
    {
        sampling = _sampling with { Seed = SampleSeed.Of(_seed, problem.Id, sample) };
        return TraceId.KeyOf(problem.Id, messages, Teacher, sampling, sample);
    }
}
