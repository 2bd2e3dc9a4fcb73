using TraceDistill.Core.Generation;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Traces;
using TraceDistill.Teachers.Prompts;

namespace TraceDistill.Teachers.Collection;

/// <summary>A trace to be collected.</summary>
sealed record PlannedTrace(Problem Problem, int SampleIndex, GenerationRequest Request);

/// <summary>All traces of a run, in the order in which they will stand in the shards: by problem, then by sample.</summary>
sealed class CollectionPlan(
    IReadOnlyList<Problem> problems, PromptTemplate prompt, string teacher, SamplingSettings sampling, int samplesPerProblem, long seed)
{
    public string Teacher => teacher;

    public long Count => (long)problems.Count * samplesPerProblem;

    /// <summary>Made anew on each pass: a rendered prompt for each of a million traces need not be kept.</summary>
    public IEnumerable<PlannedTrace> Traces()
    {
        foreach (var problem in problems)
        {
            var messages = prompt.Render(problem);
            for (var index = 0; index < samplesPerProblem; index++)
            {
                var own = sampling with { Seed = SampleSeed.Of(seed, problem.Id, index) };
                var id = TraceId.Create(problem.Id, messages, teacher, own, index);
                yield return new PlannedTrace(problem, index, new GenerationRequest(id, messages, own));
            }
        }
    }
}
