using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// Generalised Jensen–Shannon divergence β · KL(p ‖ m) + (1 − β) · KL(q ‖ m) with m = β · p + (1 − β) · q (GKD, arXiv 2306.13649,
/// equation 1): divided by β it is KL(p ‖ q) for β → 0, divided by 1 − β it is KL(q ‖ p) for β → 1.
/// </summary>
public sealed record JensenShannon : Divergence
{
    /// <value>0.5.</value>
    [Range(0.001, 0.999, ErrorMessage = "must be from 0.001 to 0.999; at the ends it is kl_forward and kl_reverse")]
    [Description("Share of the teacher in the mixture: small is like forward KL, large like reverse KL")]
    public double Beta { get; init; } = 0.5;

    public override string Name => "jsd";

    public override string? Refuses(MissingMass policy) => policy == MissingMass.Renormalize ? KlReverse.ReverseReason(policy) : null;

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at)
    {
        var mixture = Mixture.Log(outcomes, Beta);
        return ((outcomes.Teacher * (outcomes.LogTeacher - mixture)).Times(Beta))
            .Plus((outcomes.Student * (outcomes.LogStudent - mixture)).Times(1 - Beta))
            .sum(1);
    }
}
