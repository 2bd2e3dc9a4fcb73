using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>
/// The batches of a training, each a function of its number alone, so that an interrupted training goes on with the very next one.
/// </summary>
public interface IBatchSource
{
    /// <summary>The endless series of batches from one of them on.</summary>
    /// <param name="update">Number of the first one; a training begins with 0.</param>
    IEnumerable<IReadOnlyList<TraceTokens>> From(long update);
}
