using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>log² Σ e^z, which keeps logits from drifting (Chowdhery et al., "PaLM", arXiv 2204.02311, section 5).</summary>
public sealed record ZLoss : TokenObjective
{
    public override string Name => "z_loss";

    public override string ShortName => "z";

    public override bool NeedsSoftTargets => false;

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at) => student.LogPartition * student.LogPartition;
}
