using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// Universal Logit Distillation (Boizard et al., arXiv 2402.12030, equation 4) for the part of a teacher's
/// distribution that the student's vocabulary cannot say: Σᵣ |pᵣ − q₍ᵣ₎| over the teacher's unmatched
/// alternatives and as many of the student's most probable tokens outside the soft targets, both sorted.
/// </summary>
public sealed record UniversalLogit : TokenObjective
{
    public override string Name => "uld";

    public override bool NeedsSoftTargets => true;

    public override string? Refuses(MissingMass policy) =>
        policy == MissingMass.TailBucket ? null : "it compares what lies outside of the soft targets, which only a tail leaves as it is";

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
    {
        if (targets.Unmatched is not { } unmatched)
        {
            return zeros_like(student.Drawn);
        }

        var largest = student.LargestOthers((int)unmatched.shape[1]).exp();
        var teacher = unmatched.narrow(1, 0, largest.shape[1]);
        return (teacher - largest).abs().ZeroWhere(teacher.IsZero()).sum(1);
    }
}
