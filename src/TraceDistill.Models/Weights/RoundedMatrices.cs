using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>
/// The matrices of a model as a pass reads them, where that is not as they are held: rounded to the blocks of the file that the model is
/// trained for, and to bfloat16 for products in it. Copies of the weights, made once a step and not once a product, or the very weights
/// of a model that is stored in bfloat16. May be shared by several threads.
/// </summary>
public sealed class RoundedMatrices : IDisposable
{
    readonly IDecoderWeights _weights;
    readonly bool _isBFloat16;
    readonly Tensor? _blocks,
        _copy;
    readonly BlockPlan? _plan;

    /// <param name="weights">Those that a training changes.</param>
    /// <param name="isBFloat16">True where products are in bfloat16.</param>
    /// <param name="blocks">How the file stores them; null where the model is trained for none.</param>
    public RoundedMatrices(IDecoderWeights weights, bool isBFloat16 = true, BlockPlan? blocks = null)
    {
        (_weights, _isBFloat16, _plan) = (weights, isBFloat16, blocks);
        if (blocks is not null)
        {
            _blocks = empty_like(weights.Matrices, dtype: ScalarType.Float32).DetachFromDisposeScope();
        }

        if (isBFloat16 && (blocks is not null || weights.Dtype != TensorDtype.BFloat16))
        {
            _copy = empty_like(weights.Matrices, dtype: ScalarType.BFloat16).DetachFromDisposeScope();
        }

        Refresh();
    }

    /// <summary>Takes over changed weights; must follow every change.</summary>
    /// <param name="roundsToBlocks">False where they are not rounded to the file's blocks yet.</param>
    public void Refresh(bool roundsToBlocks = true)
    {
        using var scope = NewDisposeScope();
        if (_blocks is not null)
        {
            _blocks.copy_(_weights.Matrices);
            foreach (var (name, rounding) in _plan!.Matrices.Where(_ => roundsToBlocks))
            {
                var shape = _weights.ShapeOf(name);
                rounding.Apply(View(_blocks, _weights.OffsetOf(name), shape[0], shape[1]));
            }
        }

        _copy?.copy_(_blocks ?? _weights.Matrices);
    }

    public void Dispose()
    {
        _blocks?.Dispose();
        _copy?.Dispose();
    }

    /// <param name="offset">First element of a matrix among all.</param>
    /// <returns>[rows, inner] of it, and of those that follow it, in bfloat16; null where products are not in it.</returns>
    internal Tensor? InBFloat16(long offset, long rows, long inner) =>
        _isBFloat16 ? View(_copy ?? _weights.Matrices, offset, rows, inner) : null;

    /// <returns>The same in float32, in the file's blocks; null where there are none.</returns>
    internal Tensor? InBlocks(long offset, long rows, long inner) => _blocks is null ? null : View(_blocks, offset, rows, inner);

    static Tensor View(Tensor matrices, long offset, long rows, long inner) => matrices.as_strided([rows, inner], [inner, 1], offset);
}
