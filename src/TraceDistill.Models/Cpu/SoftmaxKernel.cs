using System.Numerics.Tensors;

namespace TraceDistill.Models.Cpu;

/// <summary>What a softmax over a vocabulary needs of each row, in one pass while the row is in the cache.</summary>
static unsafe class SoftmaxKernel
{
    /// <summary>In place: z ← e^(z − m), m being the row's largest value. A row without a finite value becomes zero, its m 0.</summary>
    /// <param name="values">[rows, columns].</param>
    /// <param name="maxima">[rows], written: m.</param>
    /// <param name="sums">[rows], written: the sum of the row afterwards.</param>
    public static void Exponentials(float* values, float* maxima, float* sums, int rows, int columns)
    {
        for (var row = 0; row < rows; row++, values += columns)
        {
            var maximum = TensorPrimitives.Max(new ReadOnlySpan<float>(values, columns));
            maxima[row] = float.IsNegativeInfinity(maximum) ? 0 : maximum;
            sums[row] = SimdMath.ExpShifted(values, columns, maxima[row]);
        }
    }
}
