using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>The hard loss: −log q of the drawn token.</summary>
public sealed record CrossEntropy : TokenObjective
{
    public override string Name => "cross_entropy";

    public override string ShortName => "ce";

    public override bool NeedsSoftTargets => false;

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at) => -student.Drawn;
}
