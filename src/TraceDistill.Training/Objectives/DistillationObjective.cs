using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>The objectives of a step and their weights: <c>kd_alpha · (T² · KL + uld · L₁) + (1 − kd_alpha) · CE</c>; a token without soft targets takes the hard loss alone.</summary>
sealed class DistillationObjective(DistillationSettings settings)
{
    readonly CrossEntropy _hard = new();
    readonly ForwardDivergence _soft = new(settings.KdTemperature, settings.MissingMass);
    readonly UniversalLogit _unmatched = new();

    /// <summary>The loss of a chunk, and what goes into reports.</summary>
    /// <returns>A scalar that has gradients; a vector of what <see cref="Read"/> takes, for sums over chunks.</returns>
    public (Tensor Loss, Tensor Sums) Evaluate(StudentRows student, TargetRows targets)
    {
        var (alpha, temperature) = (settings.KdAlpha, settings.KdTemperature);
        var hard = _hard.Loss(student, targets);                                                   // [R]
        if (alpha == 0 || targets.SoftTokens == 0)
        {
            var sum = hard.sum();
            return (sum, stack([sum, sum, zeros_like(sum), zeros_like(sum), zeros_like(sum)]).detach());
        }

        var isSoft = targets.HasSoft;
        var soft = _soft.Loss(student, targets).masked_fill(~isSoft, 0);
        var unmatched = settings.UldWeight > 0 ? _unmatched.Loss(student, targets).masked_fill(~isSoft, 0) : zeros_like(soft);
        var share = ones_like(hard).masked_fill(isSoft, 1 - alpha);
        var loss = (share * hard + alpha * temperature * temperature * soft + alpha * settings.UldWeight * unmatched).sum();
        return (loss, stack([loss, hard.sum(), soft.sum(), unmatched.sum(), isSoft.sum().to(ScalarType.Float64)]).detach());
    }

    /// <summary>Sums over chunks as totals.</summary>
    /// <param name="tokens">Trained tokens of all chunks.</param>
    public static LossTotals Read(Tensor sums, long tokens)
    {
        using var scope = NewDisposeScope();
        var values = sums.cpu().data<double>();
        return new LossTotals
        {
            Loss = values[0], CrossEntropy = values[1], Divergence = values[2], Uld = values[3], SoftTokens = (long)values[4], Tokens = tokens,
        };
    }
}
