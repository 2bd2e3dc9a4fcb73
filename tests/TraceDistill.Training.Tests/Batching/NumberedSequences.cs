using System.Collections.Concurrent;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Tests.Batching;

/// <summary>Sequences whose first tokens tell group and row, and which remembers the sequences that it gave out.</summary>
/// <param name="lengths">[groups][rows]; 0 for a row that is left out.</param>
/// <param name="read">Invoked when a group is read, before anything else.</param>
/// <param name="difficulties">[groups][rows]; null where lengths tell.</param>
sealed class NumberedSequences(IReadOnlyList<int[]> lengths, Action<int>? read = null, IReadOnlyList<float[]>? difficulties = null)
    : ISequenceSource
{
    public const long SequenceBytes = 1_000;

    public string Name => "numbers";

    /// <summary>Groups in the order in which their reading began.</summary>
    public ConcurrentQueue<int> Reads { get; } = [];

    public ConcurrentBag<WeakReference> GivenOut { get; } = [];

    public SequenceSet Set(double weight = 1) =>
        new(
            [
                .. lengths.Select(
                    (group, index) =>
                        new SequenceGroup(this, index, group, SequenceBytes * group.Count(length => length > 0), difficulties?[index])
                ),
            ],
            weight
        );

    public TraceTokens?[] Read(int group, ReadOnlySpan<int> rows)
    {
        Reads.Enqueue(group);
        read?.Invoke(group);
        var sequences = new TraceTokens?[rows.Length];
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row] > 0)
            {
                var ids = new int[Math.Max(2, rows[row])];
                (ids[0], ids[1]) = (group, row);
                sequences[row] = new TraceTokens(ids, 1, Soft: null);
                GivenOut.Add(new WeakReference(sequences[row]));
            }
        }

        return sequences;
    }

    /// <summary>Groups and rows of the sequences of batches.</summary>
    public static IEnumerable<(int Group, int Row)[]> Names(IEnumerable<IReadOnlyList<TraceTokens>> batches) =>
        batches.Select(batch => batch.Select(sequence => (sequence.Ids[0], sequence.Ids[1])).ToArray());

    /// <summary>Groups of random lengths from 2 to 40, a tenth of the rows left out.</summary>
    public static int[][] RandomLengths(int groups, int rows)
    {
        var random = new Random(3);
        return
        [
            .. Enumerable
                .Range(0, groups)
                .Select(_ => Enumerable.Range(0, rows).Select(_ => random.Next(10) == 0 ? 0 : random.Next(2, 41)).ToArray()),
        ];
    }
}
