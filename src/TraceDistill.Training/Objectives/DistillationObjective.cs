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
    public const int Sums = 5;

    readonly CrossEntropy _hard = new();
    readonly ForwardDivergence _soft = new(settings.KdTemperature, settings.MissingMass);
    readonly UniversalLogit _unmatched = new();
    readonly ZLoss _normalizer = new();

    /// <summary>The loss of a chunk, and what goes into reports.</summary>
    /// <returns>A scalar that has gradients; a vector of what <see cref="Read"/> takes, for sums over chunks.</returns>
    public (Tensor Loss, Tensor Sums) Evaluate(StudentRows student, TargetRows targets)
    {
        var hard = _hard.Loss(student, targets);                                                   // [R]
        var (hardSum, none) = (hard.sum(), zeros([], dtype: ScalarType.Float64, device: hard.device));
        var (loss, soft, unmatched, normalizer) = (hardSum, none, none, none);
        if (settings.KdAlpha > 0 && targets.SoftTokens > 0)
        {
            // Where there are soft targets, the hard loss counts 1 − α; elsewhere all.
            var isTold = targets.HasSoft;                                                          // [R] 1 or 0
            soft = _soft.Loss(student, targets).dot(isTold);
            loss = loss.Plus(soft.Times(settings.KdAlpha * settings.KdTemperature * settings.KdTemperature));
            loss = loss.Plus((targets.SoftTokens == targets.Rows ? hardSum : hard.dot(isTold)).Times(-settings.KdAlpha));
            if (settings.UldWeight > 0)
            {
                unmatched = _unmatched.Loss(student, targets).dot(isTold);
                loss = loss.Plus(unmatched.Times(settings.KdAlpha * settings.UldWeight));
            }
        }

        if (settings.ZLossWeight > 0)
        {
            normalizer = _normalizer.Loss(student, targets).sum();
            loss = loss.Plus(normalizer.Times(settings.ZLossWeight));
        }

        using var noGrad = no_grad();
        return (loss, stack([loss, hardSum, soft, unmatched, normalizer]));
    }

    /// <summary>Tokens of a chunk that <see cref="Evaluate"/> takes soft targets of.</summary>
    public int SoftTokens(TargetRows targets) => settings.KdAlpha > 0 ? targets.SoftTokens : 0;

    /// <summary>Sums over chunks as totals.</summary>
    /// <param name="sums">Of <see cref="Evaluate"/>, added up.</param>
    /// <param name="tokens">Trained tokens of all chunks.</param>
    /// <param name="softTokens">Those with soft targets.</param>
    public static LossTotals Read(Tensor sums, long tokens, long softTokens)
    {
        using var scope = NewDisposeScope();
        var values = sums.cpu().data<double>();
        return new LossTotals
        {
            Loss = values[0], CrossEntropy = values[1], Divergence = values[2], Uld = values[3], ZLoss = values[4], SoftTokens = softTokens, Tokens = tokens,
        };
    }
}
