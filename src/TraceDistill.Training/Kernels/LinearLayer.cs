using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Kernels;

/// <summary>The float32 products of a linear layer, by <see cref="LinearKernel"/> where its sides suit and by libtorch where not.</summary>
static unsafe class LinearLayer
{
    /// <summary>y ← x·Wᵀ, or y ← y + x·Wᵀ.</summary>
    /// <param name="x">[rows, inner], from row <paramref name="first"/> on.</param>
    /// <param name="weights">Have W, [columns, inner].</param>
    /// <param name="name">The first of the matrices that make W.</param>
    /// <param name="y">[rows, columns].</param>
    public static void Forward(FloatBuffer x, int first, IDecoderWeights weights, string name, FloatBuffer y, int rows, int columns, int inner, bool add)
    {
        var start = (long)first * inner;
        foreach (var part in weights.Rows(name, columns, inner))
        {
            if (LinearKernel.Fits(part.Count, inner))
            {
                LinearKernel.Forward(x.Pointer + start, part.Buffer.Pointer + part.Offset, y.Pointer + part.First, columns, rows, part.Count, inner, add);
                continue;
            }

            using var scope = NewDisposeScope();
            var input = x.Matrix(rows, inner, start);
            var output = y.Matrix(rows, part.Count, part.First, columns);
            var matrix = part.Buffer.Matrix(part.Count, inner, part.Offset);
            var transposed = matrix.t();
            output.addmm_(input, transposed, beta: add ? 1 : 0, alpha: 1);
        }
    }

    /// <summary>dx ← dy·W.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="weights">As given to the forward pass.</param>
    /// <param name="name">As given to the forward pass.</param>
    /// <param name="dx">[rows, inner], from row <paramref name="first"/> on; written.</param>
    public static void InputGradient(FloatBuffer dy, IDecoderWeights weights, string name, FloatBuffer dx, int first, int rows, int columns, int inner)
    {
        var start = (long)first * inner;
        foreach (var part in weights.Rows(name, columns, inner))
        {
            var add = part.First > 0;
            if (LinearKernel.Fits(part.Count, inner))
            {
                LinearKernel.InputGradient(dy.Pointer + part.First, columns, part.Buffer.Pointer + part.Offset, dx.Pointer + start, rows, part.Count, inner, add);
                continue;
            }

            using var scope = NewDisposeScope();
            var outputGradient = dy.Matrix(rows, part.Count, part.First, columns);
            var inputGradient = dx.Matrix(rows, inner, start);
            var matrix = part.Buffer.Matrix(part.Count, inner, part.Offset);
            inputGradient.addmm_(outputGradient, matrix, beta: add ? 1 : 0, alpha: 1);
        }
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
