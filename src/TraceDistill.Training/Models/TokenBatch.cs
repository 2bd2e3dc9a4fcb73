namespace TraceDistill.Training.Models;

/// <summary>Sequences laid one after another without padding.</summary>
/// <param name="Ids">[N] token ids.</param>
/// <param name="Lengths">Tokens of each sequence; they sum to N. Every sequence starts at position 0 and sees only itself.</param>
public sealed record TokenBatch(int[] Ids, int[] Lengths)
{
    /// <summary>[N] position of each token in its sequence.</summary>
    public int[] Positions { get; } = [.. Lengths.SelectMany(length => Enumerable.Range(0, length))];
}
