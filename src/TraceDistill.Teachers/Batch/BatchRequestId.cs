using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;

namespace TraceDistill.Teachers.Batch;

/// <summary>
/// The <c>custom_id</c> of a request in a batch: the id of its trace, and behind it the seed where
/// the trace is asked for again, lest an answer to the first asking be taken for one to the second.
/// </summary>
static class BatchRequestId
{
    public static string Of(TraceKey trace, long? newSeed) => newSeed is { } seed ? $"{trace}-{seed}" : trace.ToString();

    /// <summary>The request for a trace of the plan as it is asked for now.</summary>
    public static string Of(CollectionPlan plan, TraceInventory inventory, int position) =>
        Of(plan.Keys[position], inventory.NewSeed(position));
}
