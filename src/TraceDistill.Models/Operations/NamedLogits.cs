using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// R = rows, K = named tokens of a row, V = vocabulary

/// <summary>Logits of which some are named and all others count together; no gradient is recorded.</summary>
/// <param name="Ids">[R, K] of int64: the named tokens.</param>
/// <param name="Outcomes">[R, K + 1] of float64: their logits, −∞ for filling, and last log Σ e^z of all others.</param>
/// <param name="Exponentials">[R, V] of float32: E = e^(z − m) of the others, 0 for the named ones.</param>
/// <param name="Maxima">[R] of float32: m, the largest of the others; 0 where there is none.</param>
/// <param name="Sums">[R] of float32: Σ E.</param>
sealed record NamedLogits(Tensor Ids, Tensor Outcomes, Tensor Exponentials, Tensor Maxima, Tensor Sums)
{
    /// <summary>Below any sum of float32 exponentials that is not zero.</summary>
    public const float Least = 1e-37f;

    const int PartLogits = 1 << 19;

    /// <param name="logits">[R, V] of float32, contiguous; used up.</param>
    /// <param name="ids">[R, K] of int64.</param>
    /// <param name="isPresent">[R, K] false for filling, whose id is another one's of the row too.</param>
    public static unsafe NamedLogits Split(Tensor logits, Tensor ids, Tensor isPresent)
    {
        if (!CustomGradient.TakesKernels(logits))
        {
            return SplitPlain(logits, ids, isPresent);
        }

        var (rows, named) = ((int)ids.shape[0], (int)ids.shape[1]);
        var (outcomes, maxima, sums) = (empty(rows, named + 1, dtype: ScalarType.Float64), empty(rows), empty(rows));
        var columns = (int)logits.shape[1];
        float* values = Pointer<float>(logits),
            largest = Pointer<float>(maxima),
            totals = Pointer<float>(sums);
        var names = Pointer<long>(ids);
        var present = Pointer<bool>(isPresent);
        var results = Pointer<double>(outcomes);
        ForRows(rows, columns, (first, count) =>
            SoftmaxKernel.Split(
                values + (long)first * columns,
                names + first * named,
                present + first * named,
                results + first * (named + 1),
                largest + first,
                totals + first,
                count,
                named,
                columns,
                Least
            )
        );
        return new NamedLogits(ids, outcomes, logits, maxima, sums);
    }

    /// <summary>[R] of float64: the largest logits of the others, −∞ where there are none.</summary>
    public Tensor LargestOthers()
    {
        // The largest of them is 1 in their sum.
        using Scalar half = 0.5;
        return Maxima.to(ScalarType.Float64).NegativeInfinityWhere(Sums.lt(half));
    }

    /// <summary>The gradient of all logits from that of the outcomes; ∂(log Σ e^z)/∂zᵢ = Eᵢ / Σ E.</summary>
    /// <param name="slopes">[R, K + 1] of float64.</param>
    /// <returns>[R, V] of float32, in the memory of <see cref="Exponentials"/>.</returns>
    public unsafe Tensor Gradient(Tensor slopes)
    {
        int rows = (int)Ids.shape[0],
            named = (int)Ids.shape[1];
        if (CustomGradient.TakesKernels(Exponentials))
        {
            using var contiguous = slopes.contiguous();
            var columns = (int)Exponentials.shape[1];
            float* values = Pointer<float>(Exponentials),
                totals = Pointer<float>(Sums);
            var names = Pointer<long>(Ids);
            var gradient = Pointer<double>(contiguous);
            ForRows(rows, columns, (first, count) =>
                SoftmaxKernel.Gradient(
                    values + (long)first * columns,
                    names + first * named,
                    totals + first,
                    gradient + first * (named + 1),
                    count,
                    named,
                    columns
                )
            );
            return Exponentials;
        }

        Exponentials.mul_((slopes.select(1, named) / Sums).to(ScalarType.Float32).unsqueeze(1));
        return Exponentials.scatter_add_(1, Ids, slopes.narrow(1, 0, named).to(ScalarType.Float32));
    }

    /// <summary>Rows of logits in parts that take a core about a millisecond, on idle cores too.</summary>
    /// <param name="work">Takes the first row and how many.</param>
    static void ForRows(int rows, int columns, Action<int, int> work)
    {
        var most = Math.Max(1, PartLogits / columns);
        Cores.For((rows + most - 1) / most, part => work(part * most, Math.Min(most, rows - part * most)));
    }

    static NamedLogits SplitPlain(Tensor logits, Tensor ids, Tensor isPresent)
    {
        var values = logits.gather(1, ids); // [R, K]
        logits.scatter_(1, ids, values.NegativeInfinityWhere(ones_like(values, dtype: ScalarType.Bool)));
        var maxima = logits.amax([1]);
        maxima = maxima.ZeroWhere(maxima.isneginf()); // [R]
        var sums = logits.sub_(maxima.unsqueeze(1)).exp_().sum(1).AtLeast(Least);
        var rest = sums.to(ScalarType.Float64).log_().Add(maxima);
        var named = values.NegativeInfinityWhere(~isPresent).to(ScalarType.Float64);
        return new NamedLogits(ids, cat([named, rest.unsqueeze(1)], 1), logits, maxima, sums);
    }

    static unsafe T* Pointer<T>(Tensor tensor)
        where T : unmanaged => new TensorMemory<T>(tensor).Pointer;
}
