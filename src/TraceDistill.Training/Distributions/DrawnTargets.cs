using TraceDistill.Data.Determinism;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, O = outcomes that are drawn from, N = draws

/// <summary>Tokens drawn from distributions, with their counts.</summary>
static class DrawnTargets
{
    /// <param name="logProbabilities">[R, O] up to a constant in each row.</param>
    /// <param name="keys">[R] where each row's stream of random numbers starts.</param>
    /// <param name="draws">N.</param>
    /// <returns>
    /// [R, N] of int64: outcomes in ascending order; and [R, N] of float64: how often each was drawn, at its first place, else 0.
    /// </returns>
    public static (Tensor Outcomes, Tensor Counts) Draw(Tensor logProbabilities, ReadOnlySpan<ulong> keys, int draws)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var uniform = new double[keys.Length * draws];
        for (var row = 0; row < keys.Length; row++)
        {
            var stream = new SplitMix64(keys[row]);
            for (var i = 0; i < draws; i++)
            {
                uniform[(row * draws) + i] = (stream.Next() >> 11) * (1.0 / (1UL << 53));
            }
        }

        var cumulative = logProbabilities.to(ScalarType.Float64).softmax(1).cumsum(1); // [R, O]
        var last = cumulative.shape[1] - 1;
        // By the sum as it is rounded, and never behind it.
        var at = tensor(uniform, device: logProbabilities.device).reshape(keys.Length, draws) * cumulative.narrow(1, last, 1);
        var found = searchsorted(cumulative, at, right: true);
        var (outcomes, _) = minimum(found, tensor([last], device: found.device)).sort(1); // [R, N]
        var isSame = outcomes.unsqueeze(2).eq(outcomes.unsqueeze(1)); // [R, N, N]
        var isFirst = isSame.tril(-1).any(2).logical_not(); // none before it is the same
        var counts = isSame.sum(2).to(ScalarType.Float64).ZeroWhere(~isFirst);
        return (outcomes.MoveToOuterDisposeScope(), counts.MoveToOuterDisposeScope());
    }
}
