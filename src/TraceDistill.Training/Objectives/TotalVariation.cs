using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>½ · Σ |p − q| (f-distill, Wen et al., arXiv 2307.15190), from 0 to 1.</summary>
public sealed record TotalVariation : Divergence
{
    public override string Name => "total_variation";

    public override string? Refuses(MissingMass policy) => policy == MissingMass.Renormalize ? KlReverse.ReverseReason(policy) : null;

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at) => (outcomes.Teacher - outcomes.Student).abs().sum(1).Times(0.5);
}
