using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>KL(p ‖ q) = Σ p (log p − log q) (Hinton et al., arXiv 1503.02531): the student covers all that the teacher may say.</summary>
public sealed record KlForward : Divergence
{
    public override string Name => "kl_forward";

    public override string ShortName => "kd";

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at) => Forward(outcomes);
}
