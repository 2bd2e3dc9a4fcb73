using TraceDistill.Models.Configuration;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>
/// The matrices of a model in bfloat16, as products read them: copies of float32 weights, made once a step
/// and not once a product, or the very weights of a model that is stored so. May be shared by several threads.
/// </summary>
public sealed class RoundedMatrices : IDisposable
{
    readonly IDecoderWeights _weights;
    readonly Tensor? _copy;

    public RoundedMatrices(IDecoderWeights weights)
    {
        _weights = weights;
        _copy =
            weights.Dtype == TensorDtype.BFloat16
                ? null
                : empty_like(weights.Matrices, dtype: ScalarType.BFloat16).DetachFromDisposeScope();
        Refresh();
    }

    /// <summary>Takes over changed weights; must follow every change.</summary>
    public void Refresh()
    {
        using var scope = NewDisposeScope();
        _copy?.copy_(_weights.Matrices);
    }

    public void Dispose() => _copy?.Dispose();

    /// <summary>[rows, inner] of the named matrix, and of those that follow it.</summary>
    internal Tensor View(string name, long rows, long inner) =>
        (_copy ?? _weights.Matrices).as_strided([rows, inner], [inner, 1], _weights.OffsetOf(name));
}
