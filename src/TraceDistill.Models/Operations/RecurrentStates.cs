using TraceDistill.Models.Configuration;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// P = places, E = channels of a state, K = tokens that a convolution sees, D = hidden

/// <summary>
/// What running sequences of a recurrent model keep on a device: for each layer a state, and the last inputs of its convolution. A
/// sequence has one place, whatever its length.
/// </summary>
sealed class RecurrentStates : IDisposable
{
    readonly Tensor[] _states,
        _tails;

    /// <param name="configuration">The model's.</param>
    /// <param name="places">P.</param>
    /// <param name="dtype">Of the model's activations; states are float32 all the same.</param>
    public RecurrentStates(ModelConfiguration configuration, int places, ScalarType dtype, Device device)
    {
        var settings = configuration.Recurrence!;
        Kernel = settings.ConvKernel;
        _states = Memory(settings.StateSize, ScalarType.Float32);
        _tails = Memory(settings.Tail * configuration.HiddenSize, dtype);

        Tensor[] Memory(int channels, ScalarType type) =>
            [
                .. Enumerable
                    .Range(0, configuration.NumHiddenLayers)
                    .Select(_ => zeros([places, channels], dtype: type, device: device).DetachFromDisposeScope()),
            ];
    }

    /// <summary>K.</summary>
    public int Kernel { get; }

    /// <summary>[P, E] by layer.</summary>
    public IReadOnlyList<Tensor> States => _states;

    /// <summary>[P, (K − 1)·D] by layer, the latest input last.</summary>
    public IReadOnlyList<Tensor> Tails => _tails;

    /// <summary>Bytes of one place.</summary>
    public static long PlaceBytes(ModelConfiguration configuration, ScalarType dtype) =>
        (long)configuration.NumHiddenLayers
        * (
            (sizeof(float) * configuration.Recurrence!.StateSize)
            + ((dtype == ScalarType.Float32 ? sizeof(float) : sizeof(ushort)) * configuration.Recurrence.Tail * configuration.HiddenSize)
        );

    public void Dispose()
    {
        foreach (var memory in _states.Concat(_tails))
        {
            memory.Dispose();
        }
    }
}

/// <summary>A piece of a sequence in a pass.</summary>
/// <param name="Place">Of the sequence in <see cref="RecurrentStates"/>.</param>
/// <param name="First">Position of its first token; at 0 it begins anew, whatever its place held.</param>
/// <param name="Length">Tokens.</param>
readonly record struct SequencePiece(int Place, int First, int Length);

/// <summary>The rows of one pass over sequences that go on from their <see cref="RecurrentStates"/>, a piece after the other.</summary>
sealed class RecurrentRows : IDisposable
{
    readonly RecurrentStates _memory;
    readonly Tensor _places,
        _lasts,
        _goesOn,
        _tail;

    /// <param name="memory">Read and written.</param>
    /// <param name="pieces">Of different sequences.</param>
    public RecurrentRows(RecurrentStates memory, IReadOnlyList<SequencePiece> pieces)
    {
        var kernel = memory.Kernel;
        _memory = memory;
        using var scope = NewDisposeScope();
        var device = memory.States[0].device;
        Rows = new SequenceRows(pieces.Select(piece => piece.Length), kernel, ScalarType.Float32, device);
        _places = tensor(pieces.Select(piece => (long)piece.Place).ToArray(), device: device);
        _goesOn = tensor(pieces.Select(piece => piece.First > 0 ? 1f : 0f).ToArray(), device: device).unsqueeze(1);
        var (lasts, tail, first, count) = (new List<long>(), new List<long>(), 0L, (long)pieces.Sum(piece => piece.Length));
        foreach (var (sequence, piece) in pieces.Index())
        {
            lasts.Add(first + piece.Length - 1);
            for (var before = kernel - 2; before >= 0; before--)
            {
                var row = piece.Length - 1 - before;
                tail.Add(row >= 0 ? first + row : count + ((sequence + 1L) * (kernel - 1)) + row);
            }

            first += piece.Length;
        }

        (_lasts, _tail) = (tensor(lasts.ToArray(), device: device), tensor(tail.ToArray(), device: device));
        foreach (var held in Held)
        {
            held.DetachFromDisposeScope();
        }
    }

    IEnumerable<Tensor> Held => Rows.Tensors.Concat([_places, _lasts, _goesOn, _tail]);

    public SequenceRows Rows { get; }

    /// <returns>[S, E] states that the sequences come with.</returns>
    public Tensor State(int layer) => _memory.States[layer].index_select(0, _places) * _goesOn;

    /// <param name="states">[N, E] after each row.</param>
    public void StoreState(int layer, Tensor states) =>
        _memory.States[layer].index_copy_(0, _places, states.index_select(0, _lasts).to(ScalarType.Float32));

    /// <returns>[S·(K − 1), D] inputs of the convolution before those of each sequence.</returns>
    /// <param name="channels">D.</param>
    public Tensor Tail(int layer, long channels)
    {
        var tails = _memory.Tails[layer].index_select(0, _places);
        return (tails * _goesOn.to(tails.dtype)).reshape(-1, channels);
    }

    /// <param name="inputs">[N, D].</param>
    /// <param name="former">As <see cref="Tail"/> gave them.</param>
    public void StoreTail(int layer, Tensor inputs, Tensor former)
    {
        var memory = _memory.Tails[layer];
        var rows = cat([inputs, former], 0).index_select(0, _tail);
        memory.index_copy_(0, _places, rows.reshape(_places.shape[0], -1).to(memory.dtype));
    }

    public void Dispose()
    {
        foreach (var held in Held)
        {
            held.Dispose();
        }
    }
}
