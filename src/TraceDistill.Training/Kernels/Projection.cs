using TorchSharp;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Kernels;

/// <summary>
/// The linear layers inside the model: x·Wᵀ and its gradients, by libtorch in float32 (<see cref="LinearLayer"/>) or bfloat16.
/// <see cref="Refresh"/> must follow every change of the weights, because the bfloat16 copies are made there, once an update and not once a
/// product.
/// </summary>
public sealed class Projection : IDisposable
{
    // TorchSharp makes a native scalar for every addition and does not keep it alive during the call: the collector may free it there.
    static readonly Scalar One = 1f;
    readonly IDecoderWeights _parameters;
    readonly Tensor? _rounded, _copy;

    /// <param name="parameters">The weights; matrices that are bfloat16 already serve products in it as they are.</param>
    /// <param name="dtype">Of the products.</param>
    public Projection(IDecoderWeights parameters, ComputeDtype dtype)
    {
        _parameters = parameters;
        if (dtype == ComputeDtype.BFloat16)
        {
            _copy = parameters.Dtype == TensorDtype.BFloat16 ? null : empty_like(parameters.Matrices, dtype: ScalarType.BFloat16).DetachFromDisposeScope();
            _rounded = _copy ?? parameters.Matrices;
        }

        Refresh();
    }

    /// <summary>Takes over changed weights.</summary>
    public void Refresh()
    {
        using var scope = NewDisposeScope();
        _copy?.copy_(_parameters.Matrices);
    }

    /// <summary>y ← x·Wᵀ, or y ← y + x·Wᵀ.</summary>
    /// <param name="x">[rows, inner].</param>
    /// <param name="linear">Names W, [columns, inner].</param>
    /// <param name="y">[rows, columns].</param>
    internal void Forward(FloatBuffer x, FusedLinear linear, FloatBuffer y, int rows, bool add = false)
    {
        var (columns, inner) = (linear.Columns, linear.Inner);
        if (_rounded is null)
        {
            LinearLayer.Forward(x, 0, _parameters, linear.Weight, y, rows, columns, inner, add);
            return;
        }

        using var output = y.Matrix(rows, columns);
        using var matrix = Rounded(linear);
        using var transposed = matrix.t();
        using var paddedInput = x.Matrix(Pad(rows), inner);
        using var rounded = paddedInput.to(ScalarType.BFloat16);
        using var padded = mm(rounded, transposed);
        using var product = padded.narrow(0, 0, rows);
        _ = add ? output.add_(product, One) : output.copy_(product);
    }

    /// <summary>dx ← dy·W and, for the rows of W that are trained, dW ← dW + dyᵀ·x.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="x">[rows, inner] as given to the forward pass.</param>
    /// <param name="linear">As given to the forward pass.</param>
    /// <param name="dx">[rows, inner], written; null where nobody wants it.</param>
    /// <param name="gradient">Of the trained weights, added to.</param>
    internal void Backward(FloatBuffer dy, FloatBuffer x, FusedLinear linear, FloatBuffer? dx, FloatBuffer gradient, int rows)
    {
        var (columns, inner) = (linear.Columns, linear.Inner);
        if (_rounded is not null)
        {
            BackwardRounded(dy, x, linear, dx, gradient, rows);
            return;
        }

        if (dx is not null)
        {
            LinearLayer.InputGradient(dy, _parameters, linear.Weight, dx, 0, rows, columns, inner);
        }

        foreach (var trained in linear.Trained)
        {
            LinearLayer.WeightGradient(dy, x, 0, gradient, trained, rows, columns, inner);
        }
    }

    void BackwardRounded(FloatBuffer dy, FloatBuffer x, FusedLinear linear, FloatBuffer? dx, FloatBuffer gradient, int rows)
    {
        var (columns, inner) = (linear.Columns, linear.Inner);
        using var scope = NewDisposeScope();
        dy.Span.Slice(rows * columns, (Pad(rows) - rows) * columns).Clear();
        var rounded = dy.Matrix(Pad(rows), columns).to(ScalarType.BFloat16);
        if (dx is not null)
        {
            dx.Matrix(rows, inner).copy_(mm(rounded, Rounded(linear)).narrow(0, 0, rows));
        }

        foreach (var trained in linear.Trained)
        {
            var slopes = rounded.t().narrow(0, trained.First, trained.Count);
            var product = mm(slopes, x.Matrix(Pad(rows), inner).to(ScalarType.BFloat16));
            gradient.Matrix(trained.Count, inner, trained.Offset).add_(product, One);
        }
    }

    public void Dispose() => _copy?.Dispose();

    /// <summary>
    /// oneDNN compiles a kernel for every shape it meets, and micro-batches differ in length: rows are padded so that few shapes come again
    /// and again. Padded rows of a gradient are zero; those of an output are not looked at.
    /// </summary>
    internal static int Pad(int rows) => (rows + 127) / 128 * 128;

    Tensor Rounded(FusedLinear linear) => _rounded!.as_strided([linear.Columns, linear.Inner], [linear.Inner, 1], _parameters.OffsetOf(linear.Weight));
}
