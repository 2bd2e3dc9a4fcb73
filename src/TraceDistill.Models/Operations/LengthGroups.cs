using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// N = tokens of all sequences, B = sequences of a group, T = tokens of its longest, P = sum of B·T over the groups

/// <summary>
/// The sequences of a batch in groups of like length, for attention that takes rows of one length: a
/// group's shorter sequences are filled up at their end. Made once a pass, because every layer needs it.
/// </summary>
sealed class LengthGroups
{
    /// <summary>Of the slots of every group at least this part holds a token.</summary>
    public const double LeastFilled = 0.97;

    readonly Tensor? _rows,
        _places;
    readonly RotaryPositions _positions;

    /// <param name="batch">The sequences, one after another.</param>
    /// <param name="configuration">The model's: whether a sequence is long is for it to say.</param>
    /// <param name="device">Where their tensors lie.</param>
    public LengthGroups(TokenBatch batch, ModelConfiguration configuration, Device device)
    {
        bool[] isLong = [.. batch.Lengths.SelectMany(length => Enumerable.Repeat(configuration.IsLong(length), length))];
        _positions = new RotaryPositions(batch.Positions, isLong, device);
        var groups = Cut(batch.Lengths);
        var (shapes, rows, places) = (new List<Group>(), new List<long>(), new long[batch.Ids.Length]);
        var firsts = new long[batch.Lengths.Length];
        for (var i = 1; i < firsts.Length; i++)
        {
            firsts[i] = firsts[i - 1] + batch.Lengths[i - 1];
        }

        foreach (var group in groups)
        {
            var longest = batch.Lengths[group[0]];
            shapes.Add(new Group(rows.Count, group.Count, longest));
            foreach (var sequence in group)
            {
                for (var t = 0; t < batch.Lengths[sequence]; t++)
                {
                    places[firsts[sequence] + t] = rows.Count;
                    rows.Add(firsts[sequence] + t);
                }

                // Filling lies behind a sequence, where none of its queries looks: it may be any row.
                rows.AddRange(Enumerable.Repeat(0L, longest - batch.Lengths[sequence]));
            }
        }

        Groups = shapes;
        if (!rows.SequenceEqual(Enumerable.Range(0, batch.Ids.Length).Select(row => (long)row)))
        {
            (_rows, _places) = (tensor(rows.ToArray(), device: device), tensor(places, device: device));
        }
    }

    /// <summary>Where each group's rows are among the P.</summary>
    public IReadOnlyList<Group> Groups { get; }

    /// <summary>Puts sequences of like length together, as few groups as the filling allows.</summary>
    /// <param name="lengths">Tokens of each sequence.</param>
    /// <returns>Indices of each group's sequences, the longest first.</returns>
    public static IReadOnlyList<IReadOnlyList<int>> Cut(IReadOnlyList<int> lengths)
    {
        var (groups, tokens) = (new List<List<int>>(), 0L);
        foreach (var (index, length) in lengths.Index().OrderByDescending(sequence => sequence.Item))
        {
            if (groups.Count == 0 || tokens + length < LeastFilled * (groups[^1].Count + 1) * lengths[groups[^1][0]])
            {
                groups.Add([]);
                tokens = 0;
            }

            groups[^1].Add(index);
            tokens += length;
        }

        return groups;
    }

    /// <param name="x">[N, …].</param>
    /// <returns>[P, …].</returns>
    public Tensor Pad(Tensor x) => _rows is null ? x : x.index_select(0, _rows);

    /// <param name="x">[P, …].</param>
    /// <returns>[N, …].</returns>
    public Tensor Strip(Tensor x) => _places is null ? x : x.index_select(0, _places);

    /// <returns>[N, 1, r/2] cosines and sines of the tokens' positions, r being the rotated channels.</returns>
    public (Tensor Cosine, Tensor Sine) Angles(RotaryTables tables, ScalarType dtype) => _positions.Angles(tables, dtype);

    /// <summary>Leaves its tensors to the scope around the current one.</summary>
    public LengthGroups MoveToOuterDisposeScope()
    {
        foreach (var held in new[] { _rows, _places }.Concat(_positions.Tensors))
        {
            held?.MoveToOuterDisposeScope();
        }

        return this;
    }

    /// <param name="First">The first of its rows.</param>
    /// <param name="Count">B.</param>
    /// <param name="Longest">T.</param>
    public readonly record struct Group(long First, long Count, long Longest);
}
