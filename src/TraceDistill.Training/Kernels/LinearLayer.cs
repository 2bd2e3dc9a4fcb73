using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Kernels;

/// <summary>The float32 products of a linear layer, by libtorch: x·Wᵀ, its gradients dy·W and dyᵀ·x.</summary>
static class LinearLayer
{
    /// <summary>y ← x·Wᵀ, or y ← y + x·Wᵀ.</summary>
    /// <param name="x">[rows, inner], from row <paramref name="first"/> on.</param>
    /// <param name="weights">Have W, [columns, inner].</param>
    /// <param name="name">The first of the matrices that make W.</param>
    /// <param name="y">[rows, columns].</param>
    public static void Forward(FloatBuffer x, int first, IDecoderWeights weights, string name, FloatBuffer y, int rows, int columns, int inner, bool add)
    {
        foreach (var part in weights.Rows(name, columns, inner))
        {
            using var scope = NewDisposeScope();
            var matrix = part.Buffer.Matrix(part.Count, inner, part.Offset);
            y.Matrix(rows, part.Count, part.First, columns).addmm_(x.Matrix(rows, inner, (long)first * inner), matrix.t(), beta: add ? 1 : 0, alpha: 1);
        }
    }

    /// <summary>dx ← dy·W.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="weights">As given to the forward pass.</param>
    /// <param name="name">As given to the forward pass.</param>
    /// <param name="dx">[rows, inner], from row <paramref name="first"/> on; written.</param>
    public static void InputGradient(FloatBuffer dy, IDecoderWeights weights, string name, FloatBuffer dx, int first, int rows, int columns, int inner)
    {
        foreach (var part in weights.Rows(name, columns, inner))
        {
            using var scope = NewDisposeScope();
            var matrix = part.Buffer.Matrix(part.Count, inner, part.Offset);
            dx.Matrix(rows, inner, (long)first * inner).addmm_(dy.Matrix(rows, part.Count, part.First, columns), matrix, beta: part.First > 0 ? 1 : 0, alpha: 1);
        }
    }

    /// <summary>dW ← dW + dyᵀ·x for some rows of W.</summary>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="x">[rows, inner], from row <paramref name="first"/> on, as given to the forward pass.</param>
    /// <param name="gradient">Added to.</param>
    /// <param name="trained">The rows of W and where their gradient begins.</param>
    public static void WeightGradient(FloatBuffer dy, FloatBuffer x, int first, FloatBuffer gradient, TrainedRows trained, int rows, int columns, int inner)
    {
        using var scope = NewDisposeScope();
        var outputGradient = dy.Matrix(rows, trained.Count, trained.First, columns);
        gradient.Matrix(trained.Count, inner, trained.Offset).addmm_(outputGradient.t(), x.Matrix(rows, inner, (long)first * inner), beta: 1, alpha: 1);
    }
}
