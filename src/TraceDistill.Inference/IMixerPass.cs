using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;

namespace TraceDistill.Inference;

// R = rows (tokens) of a batch, D = hidden size, W = width of what a mixer gives

/// <summary>
/// The part of a layer in which a token learns of those before it, by attention or a recurrence, with what it keeps of them. Holds one
/// thread's scratch memory.
/// </summary>
interface IMixerPass : IDisposable
{
    /// <summary>Floats from one row of <see cref="Mixed"/> to the next.</summary>
    int Stride { get; }

    /// <summary>[R, W] what the projection into the residual stream takes.</summary>
    NativeBuffer Mixed { get; }

    /// <param name="layer">Its weights.</param>
    /// <param name="index">Of the layer, from 0.</param>
    /// <param name="normed">[R, D] its input, which may be overwritten.</param>
    /// <param name="rows">The batch; those of one sequence come in order of their positions.</param>
    /// <param name="active">Rows whose output is wanted, the first ones; of the others it only keeps what later tokens learn from.</param>
    void Run(DecoderLayer layer, int index, NativeBuffer normed, ReadOnlySpan<BatchRow> rows, int active, int helpers);
}

/// <summary>A token of a batch.</summary>
/// <param name="Pages">Of its sequence, in order.</param>
/// <param name="IsLong">True where its sequence is to become long.</param>
/// <param name="MayExit">True where it may leave at an early exit.</param>
readonly record struct BatchRow(int Token, int Position, int[] Pages, bool IsLong, bool MayExit, ReadOnlyMemory<float> Vector = default);
