using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>KL(p ‖ q) + KL(q ‖ p) = Σ (p − q)(log p − log q) (Jeffreys, 1946).</summary>
public sealed record Jeffreys : Divergence
{
    public override string Name => "jeffreys";

    public override string? Refuses(MissingMass policy) => KlReverse.ReverseReason(policy);

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at) =>
        ((outcomes.Teacher - outcomes.Student) * (outcomes.LogTeacher - outcomes.LogStudent)).sum(1);
}
