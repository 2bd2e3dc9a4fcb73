using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// −1/V · Σ log q: cross entropy of the even distribution. With a weight of ε beside <c>cross_entropy: 1 − ε</c> it is label smoothing
/// (Szegedy et al., arXiv 1512.00567, section 7).
/// </summary>
public sealed record LabelSmoothing : TokenObjective
{
    public override string Name => "label_smoothing";

    public override bool NeedsSoftTargets => false;

    public override bool NeedsAllLogits => true;

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at) =>
        student.LogPartition - student.AllLogits.mean([1]).to(ScalarType.Float64);
}
