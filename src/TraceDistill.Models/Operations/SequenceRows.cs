using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// N = rows (tokens) of a pass, S = sequences, K = tokens that a convolution sees

/// <summary>
/// Where the sequences of a pass begin and end, for operations that go along a sequence: its rows lie one after another. Made once a
/// pass, because every layer needs it.
/// </summary>
/// <param name="lengths">Rows of each sequence.</param>
sealed class SequenceRows(IEnumerable<int> lengths)
{
    readonly Tensor? _firsts,
        _within;
    readonly Tensor[] _before = [],
        _after = [];

    /// <summary>With what libtorch's operations need of it.</summary>
    /// <param name="lengths">Rows of each sequence.</param>
    /// <param name="kernel">K.</param>
    /// <param name="dtype">Of states.</param>
    /// <param name="device">Where the tensors lie, which belong to the current scope.</param>
    public SequenceRows(IEnumerable<int> lengths, int kernel, ScalarType dtype, Device device)
        : this(lengths)
    {
        using var scope = NewDisposeScope();
        var count = Lengths.Sum();
        _firsts = Rows(Starts());
        _within = ones(count, 1, dtype: dtype, device: device).ClearRows(_firsts);
        int[] distances = [.. Enumerable.Range(1, kernel - 1)];
        _before = [.. distances.Select(distance => Rows(FindBefore(distance, kernel - 1, count)))];
        _after = [.. distances.Select(distance => Rows(FindAfter(distance, count)))];
        MoveToOuterDisposeScope();

        Tensor Rows(IEnumerable<long> rows) => tensor(rows.ToArray(), device: device);
    }

    /// <summary>[S] none of them 0.</summary>
    public int[] Lengths { get; } = [.. lengths.Where(length => length > 0)];

    /// <summary>[S] each sequence's first row.</summary>
    public Tensor Firsts => _firsts!;

    /// <summary>[N, 1] 0 at each sequence's first row, 1 at the others.</summary>
    public Tensor Within => _within!;

    /// <summary>
    /// For each distance 1 … K − 1, [N] the row so far before each one, among N rows and K − 1 former ones of each sequence
    /// behind them (the latest last).
    /// </summary>
    public IReadOnlyList<Tensor> Before => _before;

    /// <summary>For each distance 1 … K − 1, [N] the row so far after each one, among N rows and one of zeros behind them.</summary>
    public IReadOnlyList<Tensor> After => _after;

    /// <summary>All that it holds.</summary>
    public IEnumerable<Tensor> Tensors => _before.Concat(_after).Concat(new[] { _firsts, _within }.OfType<Tensor>());

    /// <summary>Leaves its tensors to the scope around the current one.</summary>
    public SequenceRows MoveToOuterDisposeScope()
    {
        foreach (var held in Tensors)
        {
            held.MoveToOuterDisposeScope();
        }

        return this;
    }

    IEnumerable<long> Starts()
    {
        var first = 0L;
        foreach (var length in Lengths)
        {
            yield return first;
            first += length;
        }
    }

    IEnumerable<long> FindBefore(int distance, int tail, int count)
    {
        var row = 0L;
        for (var sequence = 0; sequence < Lengths.Length; sequence++)
        {
            for (var t = 0; t < Lengths[sequence]; t++, row++)
            {
                yield return t >= distance ? row - distance : count + ((sequence + 1L) * tail) + t - distance;
            }
        }
    }

    IEnumerable<long> FindAfter(int distance, int count)
    {
        var row = 0L;
        foreach (var length in Lengths)
        {
            for (var t = 0; t < length; t++, row++)
            {
                yield return t + distance < length ? row + distance : count;
            }
        }
    }
}
