namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Cut of a plan's traces into blocks, each of which makes one shard: equally many in each, or as the shards of another data set have them.
/// </summary>
sealed class BlockCut
{
    readonly int _rows;
    readonly int[] _ends; // of each block, where they are not equally large; empty where they are

    BlockCut(int rows, int[] ends, IReadOnlyList<IReadOnlyList<int>> groups) => (_rows, _ends, Groups) = (rows, ends, groups);

    /// <summary>[blocks] traces of each row group; empty where row groups are cut by size.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Groups { get; }

    /// <summary>So many traces in each block; the last may have fewer.</summary>
    public static BlockCut Every(int rows) => new(rows, [], []);

    /// <summary>As the row groups of shards. Traces beyond them, and there should be none, are the last block's.</summary>
    /// <param name="groups">[shards] traces of each row group, at least one in each shard.</param>
    public static BlockCut At(IReadOnlyList<IReadOnlyList<int>> groups)
    {
        var end = 0;
        return new BlockCut(0, [.. groups.Select(shard => end += shard.Sum())], groups);
    }

    /// <summary>Blocks of so many traces.</summary>
    public int Count(int traces) => _ends.Length > 0 ? _ends.Length : (traces + _rows - 1) / _rows;

    /// <summary>The block of a trace.</summary>
    public int Of(int position)
    {
        if (_ends.Length == 0)
        {
            return position / _rows;
        }

        var found = Array.BinarySearch(_ends, position + 1);
        return Math.Min(found < 0 ? ~found : found, _ends.Length - 1);
    }

    /// <summary>Positions of a block's traces.</summary>
    /// <param name="traces">Number of all.</param>
    public IEnumerable<int> Positions(int block, int traces)
    {
        var first =
            _ends.Length == 0 ? block * _rows
            : block == 0 ? 0
            : _ends[block - 1];
        var end =
            _ends.Length == 0 ? Math.Min(first + _rows, traces)
            : block == _ends.Length - 1 ? traces
            : _ends[block];
        return Enumerable.Range(first, end - first);
    }
}
