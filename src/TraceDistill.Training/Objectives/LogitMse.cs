using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, V = vocabulary

/// <summary>
/// 1/(2V) · Σ (z − mean z − (v − mean v))² of the student's logits z and the teacher's v (Ba and Caruana, arXiv 1312.6184): what
/// T² · KL(p ‖ q) comes to for a large T (Hinton et al., arXiv 1503.02531, section 2.1).
/// </summary>
public sealed record LogitMse : TokenObjective
{
    public override string Name => "logit_mse";

    public override bool NeedsSoftTargets => true;

    public override bool NeedsDenseTeacher => true;

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
    {
        var words = targets.KnownWords;
        // [R, V]; the teacher's are its logits up to a constant
        var difference = student.AllLogits.narrow(1, 0, words) - targets.Dense!.narrow(1, 0, words);
        var centred = difference - difference.mean([1], keepdim: true);
        return (centred * centred).mean([1]).Times(0.5);
    }
}
