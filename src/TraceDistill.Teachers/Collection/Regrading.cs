using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Verdicts of traces, which belong to the answers that they were made with: where a problem has another answer by now (in another field,
/// or in a corrected file), the traces that are there are graded anew, and none is asked for again.
/// </summary>
static class Regrading
{
    /// <summary>Traces that are read from their shards at a time.</summary>
    const int AtATime = 1_024;

    /// <summary>The verdict of an answer.</summary>
    /// <param name="isCall">True where the teacher called a tool.</param>
    public static Verdict Grade(IVerifier verifier, Problem problem, string answer, string finishReason, bool isCall) =>
        // A call of a tool is no answer yet, right or wrong; nor is what was refused, or could not be asked.
        isCall || FinishReasons.IsRefusal(finishReason)
            ? Verdict.Unverified
            : verifier.Verify(answer, problem);

    /// <summary>Grades the traces that are there with another answer than their problems have.</summary>
    /// <returns>Their number.</returns>
    public static async Task<long> RunAsync(TraceStore<CollectionPlan> store, IVerifier verifier, CancellationToken cancellationToken)
    {
        if (store.Dataset is null)
        {
            return 0;
        }

        var changed = new HashSet<int>();
        await foreach (var head in store.HeadsAsync(cancellationToken))
        {
            if (
                store.Inventory.Find(head.Key) is { } position
                && position < store.Plan.Keys.Length
                && !store.Plan.HasAnswer(position, head.ExpectedAnswer)
            )
            {
                changed.Add(position);
            }
        }

        if (changed.Count == 0)
        {
            return 0;
        }

        var journal = store.Describe(store.Dataset, store.Capabilities);
        await foreach (var planned in store.Plan.ReadAsync(changed.Contains, cancellationToken).Chunk(AtATime))
        {
            var problems = planned.ToDictionary(trace => store.Plan.Keys[trace.Position], trace => trace.Problem);
            await foreach (var trace in store.ReadAsync([.. problems.Keys], cancellationToken))
            {
                var problem = problems[TraceKey.Of(trace.Id)];
                var verdict = Grade(verifier, problem, trace.Answer, trace.FinishReason, trace.ToolCalls is not null);
                await journal.AddAsync(trace with { ExpectedAnswer = problem.Answer, Verdict = verdict.ToName() }, replace: true);
                store.Inventory.PutAside(TraceKey.Of(trace.Id));
            }
        }

        return changed.Count;
    }
}
