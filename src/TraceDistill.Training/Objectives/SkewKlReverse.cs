using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>KL(q ‖ (1 − α) · p + α · q) (DistiLLM, arXiv 2402.03898, section 3.1): reverse KL without its largest slopes.</summary>
public sealed record SkewKlReverse : Divergence
{
    /// <value>0.1.</value>
    [Range(0.001, 0.999, ErrorMessage = "must be from 0.001 to 0.999; without a skew it is kl_reverse")]
    [Description("Share of the student in what it is compared with")]
    public double Alpha { get; init; } = 0.1;

    public override string Name => "skew_kl_reverse";

    public override string? Refuses(MissingMass policy) => policy == MissingMass.Renormalize ? KlReverse.ReverseReason(policy) : null;

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at) =>
        (outcomes.Student * (outcomes.LogStudent - Mixture.Log(outcomes, 1 - Alpha))).sum(1);
}
