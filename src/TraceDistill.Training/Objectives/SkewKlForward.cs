using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>KL(p ‖ α · p + (1 − α) · q) (DistiLLM, arXiv 2402.03898, equation 3): forward KL without its largest slopes.</summary>
public sealed record SkewKlForward : Divergence
{
    /// <value>0.1.</value>
    [Range(0.001, 0.999, ErrorMessage = "must be from 0.001 to 0.999; without a skew it is kl_forward")]
    [Description("Share of the teacher in what it is compared with")]
    public double Alpha { get; init; } = 0.1;

    public override string Name => "skew_kl_forward";

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at) =>
        (outcomes.Teacher * (outcomes.LogTeacher - Mixture.Log(outcomes, Alpha))).sum(1);
}
