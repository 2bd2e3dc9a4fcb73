using TraceDistill.Data.Pictures;

namespace TraceDistill.Models.Passes;

/// <summary>Sequences laid one after another without padding.</summary>
/// <param name="Ids">[N] token ids.</param>
/// <param name="Lengths">Tokens of each sequence; they sum to N. Every sequence starts at position 0 and sees only itself.</param>
/// <param name="Outputs">[M] the tokens whose hidden states are wanted, ascending indices into <paramref name="Ids"/>.</param>
public sealed record TokenBatch(int[] Ids, int[] Lengths, int[] Outputs)
{
    /// <summary>A batch whose hidden states are all wanted.</summary>
    public TokenBatch(int[] ids, int[] lengths)
        : this(ids, lengths, [.. Enumerable.Range(0, ids.Length)]) { }

    /// <summary>
    /// Pictures in the order of the sequences that they stand in, whose vectors take the places of <see cref="PicturePrompt.Token"/>.
    /// </summary>
    /// <value>None.</value>
    public IReadOnlyList<Picture> Pictures { get; init; } = [];

    /// <summary>
    /// [places, D] the vectors themselves, where they were made before; null where <see cref="Pictures"/> are to be encoded.
    /// </summary>
    public float[]? PictureVectors { get; init; }

    /// <summary>[N] position of each token in its sequence.</summary>
    public int[] Positions { get; } = [.. Lengths.SelectMany(length => Enumerable.Range(0, length))];

    /// <summary>Position of the first token in each sequence: zeros.</summary>
    public int[] Starts { get; } = new int[Lengths.Length];

    /// <summary>Position of the first wanted token in each sequence; its length where none is wanted.</summary>
    public int[] FirstOutputs { get; } = FindFirst(Lengths, Outputs);

    static int[] FindFirst(int[] lengths, int[] outputs)
    {
        var first = new int[lengths.Length];
        int start = 0,
            next = 0;
        for (var i = 0; i < lengths.Length; start += lengths[i++])
        {
            first[i] = next < outputs.Length ? Math.Min(outputs[next] - start, lengths[i]) : lengths[i];
            while (next < outputs.Length && outputs[next] < start + lengths[i])
            {
                next++;
            }
        }

        return first;
    }
}
