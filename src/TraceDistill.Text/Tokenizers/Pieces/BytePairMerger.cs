using System.Runtime.InteropServices;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>
/// Merges the symbols of one piece, best rank first and leftmost among equals, until no merge applies. For one thread at a time.
/// </summary>
/// <remarks>
/// The order, down to which outdated queue entries still count, is that of Hugging Face's tokenizers: an entry is valid as long
/// as the pair that now stands there gives the same token, whatever its rank. Time is O(n log n) in the length of the piece.
/// Microsoft.ML.Tokenizers merges alike, which tests compare, but allocates a list for every piece and knows no byte fallback.
/// </remarks>
sealed class BytePairMerger(MergeTable merges)
{
    // The piece at hand, kept between calls to save the allocation.
    readonly List<Node> _nodes = [];
    readonly PriorityQueue<(int Position, int Result), long> _queue = new();

    /// <summary>Appends the tokens that the symbols merge into.</summary>
    public void Apply(ReadOnlySpan<PieceToken> symbols, List<PieceToken> tokens)
    {
        if (symbols.Length < 2)
        {
            tokens.AddRange(symbols);
            return;
        }

        _nodes.Clear();
        for (var i = 0; i < symbols.Length; i++)
        {
            _nodes.Add(new Node(symbols[i].Id, symbols[i].Length, i - 1, i + 1 < symbols.Length ? i + 1 : -1));
        }
        var nodes = CollectionsMarshal.AsSpan(_nodes);
        for (var i = 0; i + 1 < nodes.Length; i++)
        {
            Enqueue(nodes, i);
        }
        while (_queue.TryDequeue(out var top, out _))
        {
            ref var left = ref nodes[top.Position];
            if (left.Id < 0 || left.Next < 0)
            {
                continue;
            }
            ref var right = ref nodes[left.Next];
            if (!merges.TryGet(left.Id, right.Id, out var merge) || merge.Result != top.Result)
            {
                continue;
            }
            left.Id = top.Result;
            left.Length += right.Length;
            left.Next = right.Next;
            right.Id = -1;
            if (left.Next >= 0)
            {
                nodes[left.Next].Previous = top.Position;
            }
            if (left.Previous >= 0)
            {
                Enqueue(nodes, left.Previous);
            }
            if (left.Next >= 0)
            {
                Enqueue(nodes, top.Position);
            }
        }

        for (var i = 0; i >= 0; i = nodes[i].Next)
        {
            tokens.Add(new PieceToken(nodes[i].Id, nodes[i].Length));
        }
    }

    void Enqueue(ReadOnlySpan<Node> nodes, int position)
    {
        ref readonly var left = ref nodes[position];
        if (merges.TryGet(left.Id, nodes[left.Next].Id, out var merge))
        {
            _queue.Enqueue((position, merge.Result), ((long)merge.Rank << 32) | (uint)position);
        }
    }

    record struct Node(int Id, int Length, int Previous, int Next);
}
