using System.Numerics.Tensors;

namespace TraceDistill.Models.Cpu;

/// <summary>Root-mean-square normalisation, y = w ∘ x / √(mean(x²) + ε) (Zhang and Sennrich, arXiv 1910.07467, equation 4).</summary>
static unsafe class RmsNormKernel
{
    /// <param name="x">[rows, d].</param>
    /// <param name="weight">[d].</param>
    /// <param name="y">[rows, d], written.</param>
    /// <param name="inverse">[rows], written: 1 / √(mean(x²) + ε), kept for the backward pass.</param>
    public static void Forward(float* x, float* weight, float* y, float* inverse, int rows, int d, float epsilon)
    {
        var w = new ReadOnlySpan<float>(weight, d);
        for (var row = 0; row < rows; row++)
        {
            inverse[row] = Forward(new ReadOnlySpan<float>(x + (long)row * d, d), w, new Span<float>(y + (long)row * d, d), epsilon);
        }
    }

    /// <summary>One row.</summary>
    /// <param name="x">[d].</param>
    /// <param name="weight">[d].</param>
    /// <param name="y">[d], written; may be <paramref name="x"/>.</param>
    /// <returns>1 / √(mean(x²) + ε).</returns>
    public static float Forward(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, Span<float> y, float epsilon)
    {
        var inverse = 1 / MathF.Sqrt(TensorPrimitives.SumOfSquares(x) / x.Length + epsilon);
        TensorPrimitives.Multiply(x, inverse, y);
        TensorPrimitives.Multiply(y, weight, y);
        return inverse;
    }

    /// <summary>The gradient of <see cref="Forward(float*, float*, float*, float*, int, int, float)"/>.</summary>
    /// <param name="x">[rows, d] as given to the forward pass.</param>
    /// <param name="weight">[d].</param>
    /// <param name="inverse">[rows] as the forward pass wrote it.</param>
    /// <param name="yGradient">[rows, d].</param>
    /// <param name="xGradient">[rows, d], written; may be <paramref name="yGradient"/>.</param>
    /// <param name="weightGradient">[d]; added to. Null where the weight is frozen.</param>
    public static void Backward(
        float* x,
        float* weight,
        float* inverse,
        float* yGradient,
        float* xGradient,
        float* weightGradient,
        int rows,
        int d
    )
    {
        var w = new ReadOnlySpan<float>(weight, d);
        var dw = new Span<float>(weightGradient, weightGradient is null ? 0 : d);
        Span<float> normalised = stackalloc float[d],
            slopes = stackalloc float[d];
        for (var row = 0; row < rows; row++)
        {
            var dy = new ReadOnlySpan<float>(yGradient + (long)row * d, d);
            var dx = new Span<float>(xGradient + (long)row * d, d);
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(x + (long)row * d, d), inverse[row], normalised);
            if (!dw.IsEmpty)
            {
                TensorPrimitives.MultiplyAdd(dy, normalised, dw, dw);
            }

            TensorPrimitives.Multiply(dy, w, slopes);
            var projection = TensorPrimitives.Dot<float>(slopes, normalised) / d;
            TensorPrimitives.MultiplyAdd(normalised, -projection, slopes, slopes);
            TensorPrimitives.Multiply(slopes, inverse[row], dx);
        }
    }
}
