using TraceDistill.Data.Shards;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Alternatives kept of each token where an endpoint grants another number than was asked for: all traces of a data set have equally many
/// places.
/// </summary>
static class GrantedAlternatives
{
    /// <param name="asked">Alternatives asked for.</param>
    /// <param name="granted">Those that the endpoint grants now.</param>
    /// <param name="there">What the traces that are there have; null where there are none.</param>
    /// <param name="before">What their endpoint was seen to grant; null where that is not known.</param>
    /// <returns>
    /// What is granted; of more than the traces that are there have, as many as these. Where it is fewer, it is another data set's number,
    /// which the comparison with the traces that are there refuses: their places would be empty in the new ones.
    /// </returns>
    public static int Of(int asked, int granted, DatasetDescription? there, TeacherCapabilities? before) =>
        there is not { TopK: > 0 and var kept } ? Math.Min(asked, granted)
        // An earlier version of this program, and a batch, keep places for all that was asked for, whatever was granted.
        : kept == asked && !(before?.TopLogprobs >= asked) ? kept
        : Math.Min(kept, granted);
}
