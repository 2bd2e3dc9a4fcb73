namespace TraceDistill.Training.Batching;

/// <summary>Sequences of a set in the order of their difficulty.</summary>
sealed class DifficultyRanks
{
    readonly int[] _ranks;
    readonly int[] _starts;
    readonly int _count;

    /// <param name="set">Has difficulties.</param>
    /// <param name="seed">Decides among sequences that are equally difficult.</param>
    public DifficultyRanks(SequenceSet set, string seed)
    {
        _starts = [0, .. set.Groups.Select(group => group.Lengths.Length)];
        for (var group = 1; group < _starts.Length; group++)
        {
            _starts[group] += _starts[group - 1];
        }

        (int Group, int Row)[] rows =
        [
            .. set.Groups.SelectMany((group, index) => group.Lengths.Index().Where(row => row.Item > 0).Select(row => (index, row.Index))),
        ];
        ShuffleWindow.Random($"{seed} difficulty").Shuffle(rows);
        (_count, _ranks) = (rows.Length, new int[_starts[^1]]);
        foreach (var (rank, row) in rows.OrderBy(row => set.Groups[row.Group].DifficultyOf(row.Row)).Index())
        {
            _ranks[_starts[row.Group] + row.Row] = rank;
        }
    }

    /// <summary>Returns whether a sequence is of the easiest ones, of which there is always one.</summary>
    /// <param name="row">The sequence.</param>
    /// <param name="share">How many of all they are, from 0 to 1.</param>
    public bool IsAmong((int Group, int Row) row, double share) =>
        _ranks[_starts[row.Group] + row.Row] < Math.Max(1, Math.Ceiling(share * _count));
}
