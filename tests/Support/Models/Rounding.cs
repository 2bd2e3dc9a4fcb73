using TorchSharp;
using TraceDistill.Models.Configuration;
using static TorchSharp.torch;

namespace TraceDistill.Tests.Support;

/// <summary>
/// Tolerances that follow from float32 arithmetic: n sums or products, in any order and of any
/// vector width, fused or not, are off by at most γ = n·u / (1 − n·u) times the magnitudes that went
/// in (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, sections 3.1 and 3.5).
/// </summary>
static class Rounding
{
    /// <summary>u: half a unit in the last place of 1.</summary>
    public const double Unit = 1.0 / (1 << 24);

    /// <summary>γ of so many operations.</summary>
    public static double Of(long operations) => operations * Unit / (1 - operations * Unit);

    /// <summary>γ of all sums that lie one behind another on the way through a decoder.</summary>
    /// <param name="shape">Of the decoder.</param>
    /// <param name="tokens">Of the longest sequence.</param>
    public static double OfForward(ModelConfiguration shape, int tokens) => Of(Operations(shape, tokens));

    /// <summary>As above, there and back again.</summary>
    public static double OfBackward(ModelConfiguration shape, int tokens) => Of(2 * Operations(shape, tokens));

    /// <summary>Returns whether two results are as close as a tolerance allows, relative to the largest of what is expected.</summary>
    /// <param name="expected">On the CPU, in float64.</param>
    /// <param name="actual">On any device.</param>
    public static void Close(Tensor expected, Tensor actual, double tolerance) =>
        Xunit.Assert.InRange(
            (actual.to(ScalarType.Float64, CPU) - expected).abs().max().item<double>(),
            0,
            tolerance * expected.abs().max().item<double>()
        );

    /// <inheritdoc cref="Close(Tensor, Tensor, double)"/>
    public static void Close(float[] expected, float[] actual, double tolerance)
    {
        var bound = tolerance * expected.Max(MathF.Abs);
        Xunit.Assert.All(expected.Zip(actual), pair => Xunit.Assert.InRange(Math.Abs((double)pair.First - pair.Second), 0, bound));
    }

    /// <summary>
    /// A layer's norms, queries, scores, softmax, values, output, gate and down; the last norm. Of a recurrence the products, its output
    /// and two roundings a token.
    /// </summary>
    static long Operations(ModelConfiguration c, int tokens)
    {
        var mixer = c.Recurrence is { } recurrence ? recurrence.ConvKernel + recurrence.StateSize : 2L * c.HeadDim + c.QuerySize;
        return c.NumHiddenLayers * (4L * c.HiddenSize + 2L * tokens + mixer + c.IntermediateSize) + c.HiddenSize;
    }
}
