using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>log² Σ e^z, which keeps logits from drifting (Chowdhery et al., "PaLM", arXiv 2204.02311, section 5).</summary>
public sealed class ZLoss : IObjective
{
    public bool NeedsSoftTargets => false;

    public string? Refuses(MissingMass policy) => null;

    public Tensor Loss(StudentRows student, TargetRows targets) => student.LogPartition * student.LogPartition;
}
