namespace TraceDistill.Core.Tokenization;

/// <summary>Merges the symbols of one piece, best rank first and leftmost among equals, until no merge applies.</summary>
/// <remarks>
/// The order, down to which outdated queue entries still count, is that of Hugging Face's tokenizers: an entry is valid as long as the pair
/// that now stands there gives the same token, whatever its rank. Time is O(n log n) in the length of the piece.
/// </remarks>
sealed class BytePairMerger
{
    readonly Dictionary<long, Merge> _merges = [];

    /// <param name="merges">Pairs of ids with the id they give, in order of rank; a repeated pair takes its last rank.</param>
    public BytePairMerger(IReadOnlyList<(int Left, int Right, int Result)> merges)
    {
        _merges.EnsureCapacity(merges.Count);
        for (var rank = 0; rank < merges.Count; rank++)
            _merges[Key(merges[rank].Left, merges[rank].Right)] = new Merge(rank, merges[rank].Result);
    }

    /// <summary>Appends the tokens that the symbols merge into.</summary>
    public void Apply(ReadOnlySpan<PieceToken> symbols, List<PieceToken> tokens)
    {
        if (symbols.Length < 2)
        {
            tokens.AddRange(symbols);
            return;
        }

        var nodes = new Node[symbols.Length];
        for (var i = 0; i < nodes.Length; i++)
            nodes[i] = new Node(symbols[i].Id, symbols[i].Length, i - 1, i + 1 < nodes.Length ? i + 1 : -1);
        var queue = new PriorityQueue<(int Position, int Result), long>(nodes.Length);
        for (var i = 0; i + 1 < nodes.Length; i++)
            Enqueue(queue, nodes, i);
        while (queue.TryDequeue(out var top, out _))
        {
            ref var left = ref nodes[top.Position];
            if (left.Id < 0 || left.Next < 0)
                continue;
            ref var right = ref nodes[left.Next];
            if (!_merges.TryGetValue(Key(left.Id, right.Id), out var merge) || merge.Result != top.Result)
                continue;
            left.Id = top.Result;
            left.Length += right.Length;
            left.Next = right.Next;
            right.Id = -1;
            if (left.Next >= 0)
                nodes[left.Next].Previous = top.Position;
            if (left.Previous >= 0)
                Enqueue(queue, nodes, left.Previous);
            if (left.Next >= 0)
                Enqueue(queue, nodes, top.Position);
        }

        for (var i = 0; i >= 0; i = nodes[i].Next)
            tokens.Add(new PieceToken(nodes[i].Id, nodes[i].Length));
    }

    void Enqueue(PriorityQueue<(int Position, int Result), long> queue, Node[] nodes, int position)
    {
        ref readonly var left = ref nodes[position];
        if (_merges.TryGetValue(Key(left.Id, nodes[left.Next].Id), out var merge))
            queue.Enqueue((position, merge.Result), ((long)merge.Rank << 32) | (uint)position);
    }

    static long Key(int left, int right) => ((long)left << 32) | (uint)right;

    readonly record struct Merge(int Rank, int Result);

    record struct Node(int Id, int Length, int Previous, int Next);
}
