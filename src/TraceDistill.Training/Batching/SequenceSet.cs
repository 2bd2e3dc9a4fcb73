using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>Training sequences in groups, such as the row groups of shards, each of which can be read on its own.</summary>
interface ISequenceSource
{
    /// <summary>Names the data in errors: a file or a folder.</summary>
    string Name { get; }

    /// <summary>Reads a group. Safe to call from several threads.</summary>
    /// <param name="group">Counted from 0.</param>
    /// <param name="lengths">[rows] tokens of each sequence; 0 for those that are left out.</param>
    /// <returns>[rows] the sequences, null in the place of those that are left out; the caller's own.</returns>
    TraceTokens?[] Read(int group, ReadOnlySpan<int> lengths);
}

/// <summary>One group of sequences, and what the order of batches needs to know of it.</summary>
/// <param name="Source">Where it is read.</param>
/// <param name="Index">Its number there.</param>
/// <param name="Lengths">[rows] tokens of each sequence; 0 for those that are left out.</param>
/// <param name="Bytes">The memory that its sequences take.</param>
/// <param name="Difficulties">[rows] the larger the more difficult; null where the length tells, or nobody asks.</param>
sealed record SequenceGroup(ISequenceSource Source, int Index, int[] Lengths, long Bytes, float[]? Difficulties = null)
{
    public float DifficultyOf(int row) => Difficulties?[row] ?? Lengths[row];

    public TraceTokens?[] Read() => Source.Read(Index, Lengths);
}

/// <summary>Sequences that are shuffled together, and their share of the tokens that a student learns from.</summary>
/// <param name="Groups">In the order they are stored.</param>
/// <param name="Weight">Its share beside the others'.</param>
/// <param name="IsRehearsed">True where they were learned before: neither a curriculum nor a count of epochs is of them.</param>
sealed record SequenceSet(IReadOnlyList<SequenceGroup> Groups, double Weight = 1, bool IsRehearsed = false)
{
    public long Tokens { get; } = Groups.Sum(group => group.Lengths.Sum(length => (long)length));

    public long Bytes { get; } = Groups.Sum(group => group.Bytes);

    /// <summary>A set of sequences that are in memory already.</summary>
    public static SequenceSet Of(IReadOnlyList<TraceTokens> sequences) =>
        new([
            new SequenceGroup(
                new SequencesInMemory(sequences),
                0,
                [.. sequences.Select(sequence => sequence.Ids.Length)],
                sequences.Sum(sequence => sequence.Bytes)
            ),
        ]);

    sealed class SequencesInMemory(IReadOnlyList<TraceTokens> sequences) : ISequenceSource
    {
        public string Name => "memory";

        public TraceTokens?[] Read(int group, ReadOnlySpan<int> lengths) => [.. sequences];
    }
}
