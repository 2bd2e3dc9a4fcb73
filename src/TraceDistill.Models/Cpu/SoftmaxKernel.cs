using System.Numerics.Tensors;

namespace TraceDistill.Models.Cpu;

// R = rows, K = named tokens of a row, V = vocabulary

/// <summary>A softmax over a vocabulary of which only some tokens matter by name: each row in one pass, while it is in the cache.</summary>
static unsafe class SoftmaxKernel
{
    /// <summary>
    /// Takes the named tokens out of each row and replaces the others by E = e^(z − m), m being the largest of them; named ones become 0.
    /// </summary>
    /// <param name="logits">[R, V], replaced by E.</param>
    /// <param name="ids">[R, K].</param>
    /// <param name="isPresent">[R, K] false for filling, whose id is another one's too.</param>
    /// <param name="outcomes">[R, K + 1], written: logits of the named tokens, −∞ for filling, and last log Σ e^z of all others.</param>
    /// <param name="maxima">[R], written: m; 0 where nothing is left.</param>
    /// <param name="sums">[R], written: Σ E, at least <paramref name="least"/>.</param>
    public static void Split(
        float* logits,
        long* ids,
        bool* isPresent,
        double* outcomes,
        float* maxima,
        float* sums,
        int rows,
        int named,
        int columns,
        float least
    )
    {
        for (var row = 0; row < rows; row++, logits += columns, ids += named, isPresent += named, outcomes += named + 1)
        {
            for (var i = 0; i < named; i++)
            {
                outcomes[i] = isPresent[i] ? logits[ids[i]] : double.NegativeInfinity;
            }

            for (var i = 0; i < named; i++)
            {
                logits[ids[i]] = float.NegativeInfinity;
            }

            var maximum = TensorPrimitives.Max(new ReadOnlySpan<float>(logits, columns));
            maxima[row] = float.IsNegativeInfinity(maximum) ? 0 : maximum;
            sums[row] = Math.Max(least, SimdMath.ExpShifted(logits, columns, maxima[row]));
            outcomes[named] = maxima[row] + Math.Log(sums[row]);
        }
    }

    /// <summary>The gradient of all logits, in place of E, from that of the outcomes.</summary>
    /// <param name="values">[R, V] E, replaced.</param>
    /// <param name="slopes">[R, K + 1] the gradient of what <see cref="Split"/> wrote as outcomes.</param>
    public static void Gradient(float* values, long* ids, float* sums, double* slopes, int rows, int named, int columns)
    {
        for (var row = 0; row < rows; row++, values += columns, ids += named, slopes += named + 1)
        {
            var all = new Span<float>(values, columns);
            TensorPrimitives.Multiply(all, (float)(slopes[named] / sums[row]), all);
            for (var i = 0; i < named; i++)
            {
                values[ids[i]] += (float)slopes[i];
            }
        }
    }
}
