using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>The hard loss: −log q of the drawn token.</summary>
public sealed class CrossEntropy : IObjective
{
    public bool NeedsSoftTargets => false;

    public string? Refuses(MissingMass policy) => null;

    public Tensor Loss(StudentRows student, TargetRows targets) => -student.Drawn;
}
