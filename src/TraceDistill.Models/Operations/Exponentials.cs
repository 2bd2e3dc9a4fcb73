using TorchSharp;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

/// <summary>The terms of a softmax over the last dimension; no gradient.</summary>
static class Exponentials
{
    /// <summary>In place: z ← e^(z − m), m being the row's largest value. A row without a finite value becomes zero, its m 0.</summary>
    /// <param name="values">[R, V] in float32, contiguous.</param>
    /// <returns>[R] m, and [R] the sum of each row afterwards.</returns>
    public static unsafe (Tensor Maxima, Tensor Sums) Apply(Tensor values)
    {
        if (!CustomGradient.TakesKernels(values))
        {
            var largest = values.amax([-1], keepdim: true);
            largest = largest.ZeroWhere(largest.isneginf());
            return (largest.squeeze(-1), values.sub_(largest).exp_().sum(-1));
        }

        var (rows, columns) = ((int)values.shape[0], (int)values.shape[1]);
        var (maxima, sums) = (empty(rows), empty(rows));
        SoftmaxKernel.Exponentials(CustomGradient.Pointer(values), CustomGradient.Pointer(maxima), CustomGradient.Pointer(sums), rows, columns);
        return (maxima, sums);
    }
}
