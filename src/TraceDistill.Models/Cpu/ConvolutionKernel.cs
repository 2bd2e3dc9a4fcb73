using System.Numerics.Tensors;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// y_t = x_t + Σ_i w_i ∘ x_{t−i}, i = 0 … k − 1: a causal convolution of each channel by itself beside the identity.
/// </summary>
static unsafe class ConvolutionKernel
{
    /// <summary>Weights by distance, each distance's channels side by side.</summary>
    /// <param name="weight">[d, k] as libtorch's Conv1d has them, the last for the current token.</param>
    /// <returns>[k, d], that of the current token first.</returns>
    public static float[] TapsOf(ReadOnlySpan<float> weight, int k)
    {
        var (taps, d) = (new float[weight.Length], weight.Length / k);
        for (var channel = 0; channel < d; channel++)
        {
            for (var distance = 0; distance < k; distance++)
            {
                taps[(distance * d) + channel] = weight[(channel * k) + k - 1 - distance];
            }
        }

        return taps;
    }

    /// <summary>Sequences one after another, zeros before each.</summary>
    /// <param name="x">[N, d].</param>
    /// <param name="taps">[k, d].</param>
    /// <param name="y">[N, d], written.</param>
    /// <param name="lengths">Of the sequences; they sum to N.</param>
    public static void Forward(float* x, float* taps, float* y, int[] lengths, int d, int k)
    {
        foreach (var length in lengths)
        {
            for (var t = 0; t < length; t++, x += d, y += d)
            {
                var row = new Span<float>(y, d);
                Row(x, d).CopyTo(row);
                for (var distance = 0; distance <= Math.Min(t, k - 1); distance++)
                {
                    TensorPrimitives.MultiplyAdd(Row(x - ((long)distance * d), d), Row(taps + (distance * d), d), row, row);
                }
            }
        }
    }

    /// <summary>One token.</summary>
    /// <param name="x">[d] its input; becomes its output.</param>
    /// <param name="taps">[k, d].</param>
    /// <param name="tail">[k − 1, d] the inputs before it, the latest first; takes this one.</param>
    public static void Step(Span<float> x, ReadOnlySpan<float> taps, Span<float> tail)
    {
        const int Most = 1_024; // channels at a time, for the stack's sake
        Span<float> room = stackalloc float[Math.Min(Most, x.Length)];
        var d = x.Length;
        for (var first = 0; first < d; first += Most)
        {
            var y = x.Slice(first, Math.Min(Most, d - first));
            var input = room[..y.Length];
            y.CopyTo(input);
            TensorPrimitives.MultiplyAdd(input, taps.Slice(first, y.Length), y, y);
            for (var former = 0; former < tail.Length; former += d)
            {
                TensorPrimitives.MultiplyAdd(tail.Slice(former + first, y.Length), taps.Slice(former + d + first, y.Length), y, y);
            }

            for (var former = tail.Length - d; former > 0; former -= d)
            {
                tail.Slice(former - d + first, y.Length).CopyTo(tail[(former + first)..]);
            }

            input.CopyTo(tail[first..]);
        }
    }

    /// <summary>The gradient of <see cref="Forward"/>.</summary>
    /// <param name="x">As given to the forward pass.</param>
    /// <param name="dy">[N, d].</param>
    /// <param name="dx">[N, d], written.</param>
    /// <param name="dTaps">[k, d], added to.</param>
    public static void Backward(float* x, float* taps, float* dy, float* dx, float* dTaps, int[] lengths, int d, int k)
    {
        foreach (var length in lengths)
        {
            for (var t = 0; t < length; t++, x += d, dy += d, dx += d)
            {
                var gradient = new Span<float>(dx, d);
                Row(dy, d).CopyTo(gradient);
                for (var distance = 0; distance <= Math.Min(length - 1 - t, k - 1); distance++)
                {
                    var later = Row(dy + ((long)distance * d), d);
                    var slopes = new Span<float>(dTaps + (distance * d), d);
                    TensorPrimitives.MultiplyAdd(later, Row(taps + (distance * d), d), gradient, gradient);
                    TensorPrimitives.MultiplyAdd(later, Row(x, d), slopes, slopes);
                }
            }
        }
    }

    static ReadOnlySpan<float> Row(float* row, int d) => new(row, d);
}
