using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Optimization;

/// <summary>Cuts the sequences of an optimizer step into micro-batches of about one size.</summary>
static class MicroBatches
{
    /// <summary>The power of two up to which the number of micro-batches is one.</summary>
    internal const int Most = 16;

    /// <summary>
    /// As few micro-batches as the limit allows, their number a power of two up to 16 and a
    /// multiple of 16 beyond, so that any usual number of workers shares them evenly.
    /// </summary>
    /// <param name="lengths">Tokens of each sequence.</param>
    /// <param name="limit">Most tokens of a micro-batch of more than one sequence.</param>
    /// <returns>Indices of each one's sequences, ascending; none is empty.</returns>
    public static IReadOnlyList<IReadOnlyList<int>> Cut(IReadOnlyList<int> lengths, int limit)
    {
        long[] costs = [.. lengths.Select(length => (long)length)];
        for (var count = Even((costs.Sum() + limit - 1) / limit); ; count = Even(count + 1L))
        {
            var shares = WorkSharing.Share(costs, Math.Min(count, costs.Length));
            if (count >= costs.Length || shares.All(share => share.Length == 1 || share.Sum(item => costs[item]) <= limit))
            {
                return [.. shares.Where(share => share.Length > 0)];
            }
        }
    }

    /// <summary>
    /// Micro-batches for a device that takes them one after another: of sequences of like length, so that attention
    /// takes many of them at a time (<see cref="Models.Operations.LengthGroups"/>), as few as the limit allows.
    /// </summary>
    /// <param name="lengths">Tokens of each sequence.</param>
    /// <param name="limit">Most tokens of a micro-batch of more than one sequence.</param>
    /// <returns>Indices of each one's sequences, ascending; none is empty.</returns>
    public static IReadOnlyList<IReadOnlyList<int>> CutByLength(IReadOnlyList<int> lengths, int limit) =>
        [
            .. SequencePacker
                .Split([.. Enumerable.Range(0, lengths.Count).OrderBy(index => lengths[index])], index => lengths[index], limit)
                .Select(piece => piece.Order().ToArray()),
        ];

    /// <summary>The next number of micro-batches that any usual number of workers shares evenly.</summary>
    internal static int Even(long needed) =>
        (int)(
            needed <= Most ? System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, needed)) : (needed + Most - 1) / Most * Most
        );
}
