using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference;

// R = rows, D = hidden size, E = channels of the state

/// <summary>
/// minGRU over the states of sequences: products of all rows at once, and then a row after the other of each sequence, a step each. A
/// page holds a state, and so a sequence of any length.
/// </summary>
sealed class RecurrentPass : IMixerPass
{
    readonly RecurrenceSettings _settings;
    readonly StateMemory _memory;
    readonly NativeBuffer _gates;
    readonly int _hiddenSize,
        _inputStride;

    /// <param name="memory">Shared by all threads, of which no two run one sequence.</param>
    /// <param name="maxRows">The most rows of one batch.</param>
    public RecurrentPass(DecoderWeights weights, StateMemory memory, int maxRows)
    {
        var shape = weights.Configuration;
        (_settings, _memory, _hiddenSize) = (shape.Recurrence!, memory, shape.HiddenSize);
        _inputStride = PackedMatrix.PadToPanel(_hiddenSize);
        Stride = PackedMatrix.PadToPanel(_settings.StateSize);
        _gates = new NativeBuffer((long)maxRows * weights.Layers[0].Recurrence!.Gates.OutputStride);
        Mixed = new NativeBuffer((long)maxRows * Stride);
    }

    public int Stride { get; }

    /// <summary>[R, E].</summary>
    public NativeBuffer Mixed { get; }

    public void Run(DecoderLayer layer, int index, NativeBuffer normed, ReadOnlySpan<BatchRow> rows, int active, int helpers)
    {
        var recurrence = layer.Recurrence!;
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Position == 0)
            {
                _memory.Clear(rows[row].Pages[0], index);
            }

            if (recurrence.Taps is { } taps)
            {
                ConvolutionKernel.Step(normed.Row(row, _inputStride, _hiddenSize), taps, _memory.Tail(rows[row].Pages[0], index));
            }
        }

        recurrence.Gates.Multiply(normed, _inputStride, rows.Length, _gates, helpers: helpers); // [R, 2·E]
        for (var row = 0; row < rows.Length; row++)
        {
            var gates = _gates.Row(row, recurrence.Gates.OutputStride, 2 * _settings.StateSize);
            var state = _memory.State(rows[row].Pages[0], index);
            MinGruKernel.Step(gates, state);
            state.CopyTo(Mixed.Row(row, Stride, _settings.StateSize));
        }
    }

    public void Dispose()
    {
        _gates.Dispose();
        Mixed.Dispose();
    }
}
