using TorchSharp;
using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Kernels;

/// <summary>
/// The linear layers inside the model: x·Wᵀ and its gradients, in float32 by <see cref="LinearLayer"/>, in bfloat16 by libtorch.
/// <see cref="Refresh"/> must follow every change of the weights, because the bfloat16 copies are made there, once an update and not once a
/// product.
/// </summary>
public sealed class Projection : IDisposable
{
    // TorchSharp makes a native scalar for every addition and does not keep it alive during the call: the collector may free it there.
    static readonly Scalar One = 1f;
    readonly ModelParameters _parameters;
    readonly Tensor? _rounded;

    public Projection(ModelParameters parameters, ComputeDtype dtype)
    {
        _parameters = parameters;
        _rounded = dtype == ComputeDtype.BFloat16 ? empty(parameters.Count, dtype: ScalarType.BFloat16).DetachFromDisposeScope() : null;
        Refresh();
    }

    /// <summary>Takes over changed weights.</summary>
    public void Refresh()
    {
        using var scope = NewDisposeScope();
        _rounded?.copy_(_parameters.Flat.Vector);
    }

    /// <summary>y ← x·Wᵀ, or y ← y + x·Wᵀ.</summary>
    /// <param name="x">[rows, inner].</param>
    /// <param name="weight">Name of the first of the weights whose <paramref name="columns"/> rows make W.</param>
    /// <param name="y">[rows, columns].</param>
    public void Forward(FloatBuffer x, string weight, FloatBuffer y, int rows, int columns, int inner, bool add = false)
    {
        if (_rounded is null)
        {
            LinearLayer.Forward(x, 0, _parameters.Flat, _parameters.OffsetOf(weight), y, rows, columns, inner, add);
            return;
        }

        using var output = y.Matrix(rows, columns);
        using var matrix = Rounded(weight, columns, inner);
        using var transposed = matrix.t();
        using var paddedInput = x.Matrix(Pad(rows), inner);
        using var rounded = paddedInput.to(ScalarType.BFloat16);
        using var padded = mm(rounded, transposed);
        using var product = padded.narrow(0, 0, rows);
        _ = add ? output.add_(product, One) : output.copy_(product);
    }

    /// <summary>dx ← dy·W and dW ← dW + dyᵀ·x.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="x">[rows, inner] as given to the forward pass.</param>
    /// <param name="weight">As given to the forward pass.</param>
    /// <param name="dx">[rows, inner], written.</param>
    /// <param name="gradient">Laid out like the weights, added to.</param>
    public void Backward(FloatBuffer dy, FloatBuffer x, string weight, FloatBuffer dx, FloatBuffer gradient, int rows, int columns, int inner)
    {
        if (_rounded is null)
        {
            LinearLayer.Backward(dy, x, 0, _parameters.Flat, _parameters.OffsetOf(weight), dx, gradient, rows, columns, inner);
            return;
        }

        using var inputGradient = dx.Matrix(rows, inner);
        using var matrix = Rounded(weight, columns, inner);
        using var matrixGradient = _parameters.Matrix(gradient, weight, columns);
        dy.Span.Slice(rows * columns, (Pad(rows) - rows) * columns).Clear();
        using var paddedGradient = dy.Matrix(Pad(rows), columns);
        using var paddedInput = x.Matrix(Pad(rows), inner);
        using var rounded = paddedGradient.to(ScalarType.BFloat16);
        using var roundedTransposed = rounded.t();
        using var roundedInput = paddedInput.to(ScalarType.BFloat16);
        using var paddedProduct = mm(rounded, matrix);
        using var product = paddedProduct.narrow(0, 0, rows);
        inputGradient.copy_(product);
        using var weightProduct = mm(roundedTransposed, roundedInput);
        matrixGradient.add_(weightProduct, One);
    }

    public void Dispose() => _rounded?.Dispose();

    /// <summary>
    /// oneDNN compiles a kernel for every shape it meets, and micro-batches differ in length: rows are padded so that few shapes come again
    /// and again. Padded rows of a gradient are zero; those of an output are not looked at.
    /// </summary>
    internal static int Pad(int rows) => (rows + 127) / 128 * 128;

    Tensor Rounded(string name, int rows, int columns) => _rounded!.as_strided([rows, columns], [columns, 1], _parameters.OffsetOf(name));
}
