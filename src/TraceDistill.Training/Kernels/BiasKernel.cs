using System.Numerics.Tensors;

namespace TraceDistill.Training.Kernels;

/// <summary>Biases of linear layers.</summary>
static unsafe class BiasKernel
{
    /// <summary>y ← y + b in each row.</summary>
    /// <param name="y">[rows, columns].</param>
    /// <param name="bias">[columns].</param>
    public static void Forward(float* y, float* bias, int rows, int columns)
    {
        for (var row = 0; row < rows; row++, y += columns)
        {
            var output = new Span<float>(y, columns);
            TensorPrimitives.Add(output, new ReadOnlySpan<float>(bias, columns), output);
        }
    }

    /// <summary>db ← db + the sum of the rows of dy.</summary>
    /// <param name="dy">[rows, columns], rows <paramref name="stride"/> apart.</param>
    /// <param name="gradient">[columns], added to.</param>
    public static void Backward(float* dy, int stride, float* gradient, int rows, int columns)
    {
        var sum = new Span<float>(gradient, columns);
        for (var row = 0; row < rows; row++, dy += stride)
        {
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(dy, columns), sum);
        }
    }
}
