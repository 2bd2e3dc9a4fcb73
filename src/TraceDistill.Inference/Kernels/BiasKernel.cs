using System.Numerics.Tensors;

namespace TraceDistill.Inference.Kernels;

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
}
