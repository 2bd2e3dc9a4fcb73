using System.Numerics.Tensors;

namespace TraceDistill.Training.Generation.Kernels;

/// <summary>Root-mean-square normalisation: y = w · x / √(mean(x²) + ε) (Zhang and Sennrich 2019, arXiv 1910.07467).</summary>
sealed class RmsNorm(ReadOnlySpan<float> weight, double epsilon)
{
    readonly float[] _weight = weight.ToArray();

    /// <param name="input">[D] one row.</param>
    /// <param name="output">[D]</param>
    public void Apply(ReadOnlySpan<float> input, Span<float> output)
    {
        var scale = (float)(1 / Math.Sqrt(TensorPrimitives.SumOfSquares(input) / input.Length + epsilon));
        TensorPrimitives.Multiply(input, scale, output);
        TensorPrimitives.Multiply(output, _weight, output);
    }
}
