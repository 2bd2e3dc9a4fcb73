using TraceDistill.Models.Operations;
using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// The objectives of a step and their weights: <c>kd_alpha · (T² · KL + uld · L₁) + (1 − kd_alpha) · CE + z · log² Z</c>; a token without soft targets takes
/// the whole hard loss in place of the first two.
/// </summary>
sealed class DistillationObjective(DistillationSettings settings)
{
    /// <summary>Entries of the vector that <see cref="Evaluate"/> returns.</summary>
    public const int Sums = 6;

    readonly CrossEntropy _hard = new();
    readonly ForwardDivergence _soft = new(settings.KdTemperature, settings.MissingMass);
    readonly UniversalLogit _unmatched = new();
    readonly ZLoss _normalizer = new();

    /// <summary>The loss of a chunk, and what goes into reports.</summary>
    /// <returns>A scalar that has gradients; a vector of what <see cref="Read"/> takes, for sums over chunks.</returns>
    public (Tensor Loss, Tensor Sums) Evaluate(StudentRows student, TargetRows targets)
    {
        var hard = _hard.Loss(student, targets);                                                   // [R]
        var (loss, none) = (hard, zeros_like(hard));
        var (soft, unmatched, normalizer, softTokens) = (none, none, none, 0);
        if (settings.KdAlpha > 0 && targets.SoftTokens > 0)
        {
            softTokens = targets.SoftTokens;
            soft = _soft.Loss(student, targets).ZeroWhere(~targets.HasSoft);
            unmatched = settings.UldWeight > 0 ? _unmatched.Loss(student, targets).ZeroWhere(~targets.HasSoft) : none;
            // Where there are soft targets, the hard loss counts 1 − α; elsewhere all.
            var told = hard.Times(-1).Plus(soft.Times(settings.KdTemperature * settings.KdTemperature)).Plus(unmatched.Times(settings.UldWeight));
            loss = hard.Plus(told.ZeroWhere(~targets.HasSoft).Times(settings.KdAlpha));
        }

        if (settings.ZLossWeight > 0)
        {
            normalizer = _normalizer.Loss(student, targets);
            loss = loss.Plus(normalizer.Times(settings.ZLossWeight));
        }

        var sum = loss.sum();
        return (sum, stack([sum, hard.sum(), soft.sum(), unmatched.sum(), normalizer.sum(), tensor((double)softTokens, device: hard.device)]).detach());
    }

    /// <summary>Sums over chunks as totals.</summary>
    /// <param name="sums">Of <see cref="Evaluate"/>, added up.</param>
    /// <param name="tokens">Trained tokens of all chunks.</param>
    public static LossTotals Read(Tensor sums, long tokens)
    {
        using var scope = NewDisposeScope();
        var values = sums.cpu().data<double>();
        return new LossTotals
        {
            Loss = values[0], CrossEntropy = values[1], Divergence = values[2], Uld = values[3], ZLoss = values[4], SoftTokens = (long)values[5], Tokens = tokens,
        };
    }
}
