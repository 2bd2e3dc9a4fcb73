using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Kernels;

/// <summary>The float32 products of a linear layer, by <see cref="LinearKernel"/> where its sides suit and by libtorch where not.</summary>
static unsafe class LinearLayer
{
    /// <summary>y ← x·Wᵀ, or y ← y + x·Wᵀ.</summary>
    /// <param name="x">[rows, inner], from row <paramref name="first"/> on.</param>
    /// <param name="weights">Holds W, [columns, inner], at <paramref name="offset"/>.</param>
    /// <param name="y">[rows, columns].</param>
    public static void Forward(FloatBuffer x, int first, FloatBuffer weights, long offset, FloatBuffer y, int rows, int columns, int inner, bool add)
    {
        if (LinearKernel.Fits(columns, inner))
        {
            LinearKernel.Forward(x.Pointer + (long)first * inner, weights.Pointer + offset, y.Pointer, rows, columns, inner, add);
            return;
        }

        using var scope = NewDisposeScope();
        var input = x.Matrix(rows, inner, (long)first * inner);
        var output = y.Matrix(rows, columns);
        var matrix = weights.Matrix(columns, inner, offset);
        var transposed = matrix.t();
        output.addmm_(input, transposed, beta: add ? 1 : 0, alpha: 1);
    }

    /// <summary>dx ← dy·W.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="weights">As given to the forward pass.</param>
    /// <param name="dx">[rows, inner], from row <paramref name="first"/> on; written.</param>
    public static void InputGradient(FloatBuffer dy, FloatBuffer weights, long offset, FloatBuffer dx, int first, int rows, int columns, int inner)
    {
        var start = (long)first * inner;
        if (LinearKernel.Fits(columns, inner))
        {
            LinearKernel.InputGradient(dy.Pointer, weights.Pointer + offset, dx.Pointer + start, rows, columns, inner);
            return;
        }

        using var scope = NewDisposeScope();
        var outputGradient = dy.Matrix(rows, columns);
        var inputGradient = dx.Matrix(rows, inner, start);
        var matrix = weights.Matrix(columns, inner, offset);
        inputGradient.addmm_(outputGradient, matrix, beta: 0, alpha: 1);
    }

    /// <summary>dW ← dW + dyᵀ·x for some rows of W.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="x">[rows, inner], from row <paramref name="first"/> on, as given to the forward pass.</param>
    /// <param name="gradient">Added to.</param>
    /// <param name="trained">The rows of W and where their gradient begins.</param>
    public static void WeightGradient(FloatBuffer dy, FloatBuffer x, int first, FloatBuffer gradient, TrainedRows trained, int rows, int columns, int inner)
    {
        var start = (long)first * inner;
        if (LinearKernel.Fits(columns, inner))
        {
            LinearKernel.WeightGradient(dy.Pointer + trained.First, columns, x.Pointer + start, gradient.Pointer + trained.Offset, rows, trained.Count, inner);
            return;
        }

        using var scope = NewDisposeScope();
        var outputGradient = dy.Matrix(rows, trained.Count, trained.First, columns);
        var transposed = outputGradient.t();
        var input = x.Matrix(rows, inner, start);
        var matrixGradient = gradient.Matrix(trained.Count, inner, trained.Offset);
        matrixGradient.addmm_(transposed, input, beta: 1, alpha: 1);
    }
}
