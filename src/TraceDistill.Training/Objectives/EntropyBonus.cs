using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>Σ q log q, the student's entropy below zero: training makes it unsure (Pereyra et al., arXiv 1701.06548).</summary>
public sealed record EntropyBonus : TokenObjective
{
    public override string Name => "entropy_bonus";

    public override bool NeedsSoftTargets => false;

    public override bool NeedsAllLogits => true;

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
    {
        var log = student.AllLogits.log_softmax(1);
        return (log.exp() * log).sum(1);
    }
}
