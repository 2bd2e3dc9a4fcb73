using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>
/// The batches of a training, each a function of its number alone, so that an interrupted training goes on with the very next one.
/// </summary>
public interface IBatchSource
{
    /// <summary>The series of batches from one of them on; it ends where <paramref name="cancellationToken"/> says so.</summary>
    /// <param name="update">Number of the first one; a training begins with 0.</param>
    /// <param name="cancellationToken">Ends the wait for a batch too.</param>
    IEnumerable<IReadOnlyList<TraceTokens>> From(long update, CancellationToken cancellationToken = default);
}
