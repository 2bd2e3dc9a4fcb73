using TorchSharp;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// N = tokens of all sequences, B = sequences, T = tokens of the longest

/// <summary>The sequences of a batch as rows of one length, for operations that take them so. Made once a pass: every layer needs it.</summary>
sealed class PaddedBatch
{
    readonly Tensor? _rows, _places;

    /// <param name="batch">The sequences, one after another.</param>
    /// <param name="device">Where their tensors lie.</param>
    public PaddedBatch(TokenBatch batch, Device device)
    {
        (Count, Longest) = (batch.Lengths.Length, batch.Lengths.Max());
        if (Count * Longest == batch.Ids.Length)
        {
            return;
        }

        // Filling lies behind each sequence, where no query of the sequence looks: it may be any row.
        var (rows, places, first) = (new long[Count * Longest], new long[batch.Ids.Length], 0);
        for (var i = 0; i < Count; i++)
        {
            for (var t = 0; t < batch.Lengths[i]; t++, first++)
            {
                (rows[(i * Longest) + t], places[first]) = (first, (i * Longest) + t);
            }
        }

        (_rows, _places) = (tensor(rows, device: device), tensor(places, device: device));
    }

    /// <summary>B.</summary>
    public long Count { get; }

    /// <summary>T.</summary>
    public long Longest { get; }

    /// <param name="x">[N, …].</param>
    /// <returns>[B·T, …].</returns>
    public Tensor Pad(Tensor x) => _rows is null ? x : x.index_select(0, _rows);

    /// <param name="x">[B·T, …].</param>
    /// <returns>[N, …].</returns>
    public Tensor Strip(Tensor x) => _places is null ? x : x.index_select(0, _places);

    /// <summary>Leaves its tensors to the scope around the current one.</summary>
    public PaddedBatch MoveToOuterDisposeScope()
    {
        _rows?.MoveToOuterDisposeScope();
        _places?.MoveToOuterDisposeScope();
        return this;
    }
}
