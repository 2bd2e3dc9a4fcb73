using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Collection;

/// <summary>The traces that a data set is to have, in the order in which they will stand in its shards.</summary>
interface ITracePlan
{
    /// <summary>Ids of all traces, in order.</summary>
    TraceKey[] Keys { get; }

    /// <summary>Describes traces that are there and not in the plan; null where there is nothing to say against them.</summary>
    /// <param name="leftOver">The traces.</param>
    /// <param name="isKnown">True where the options that they were made with are known to be the same.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    Task<string?> DescribeLeftOverAsync(IAsyncEnumerable<Trace> leftOver, bool isKnown, CancellationToken cancellationToken);
}
