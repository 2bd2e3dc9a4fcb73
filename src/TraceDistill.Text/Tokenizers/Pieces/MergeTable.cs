namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>Which pairs of tokens merge, in which order, into what. Immutable.</summary>
sealed class MergeTable
{
    readonly Dictionary<long, Merge> _merges;

    /// <param name="merges">Pairs of ids with the id they give, in order of rank; a repeated pair takes its last rank.</param>
    public MergeTable(IReadOnlyList<(int Left, int Right, int Result)> merges)
    {
        _merges = new Dictionary<long, Merge>(merges.Count);
        for (var rank = 0; rank < merges.Count; rank++)
        {
            _merges[Key(merges[rank].Left, merges[rank].Right)] = new Merge(rank, merges[rank].Result);
        }
    }

    public bool TryGet(int left, int right, out Merge merge) => _merges.TryGetValue(Key(left, right), out merge);

    static long Key(int left, int right) => ((long)left << 32) | (uint)right;
}

/// <summary>Result of merging a pair; the lowest rank goes first.</summary>
readonly record struct Merge(int Rank, int Result);
