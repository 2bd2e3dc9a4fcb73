using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// K = soft targets, p = teacher, q = student, T = temperature

/// <summary>
/// KL(teacher ‖ student) over the tokens that the teacher reported (Hinton et al., arXiv 1503.02531, for all tokens) and, under
/// <see cref="MissingMass.TailBucket"/>, one outcome more for all others.
/// </summary>
/// <remarks>
/// Outcomes are u = (log q₁ … log q_K, log Σ_rest q) and v likewise for the teacher, both at T = 1. Then t = softmax(v/T), s = softmax(u/T) and
/// KL = Σ t (log t − log s); the temperature's factor T² is the caller's. Where K is the whole vocabulary the two policies are equal to dense distillation.
/// </remarks>
public sealed class ForwardDivergence(double temperature, MissingMass missingMass) : IObjective
{
    public bool NeedsSoftTargets => true;

    public Tensor Loss(StudentRows student, TargetRows targets)
    {
        var (u, v, isPresent) = (student.Reported, targets.Logprobs, targets.IsPresent);
        if (missingMass == MissingMass.TailBucket)
        {
            u = cat([u, student.Tail.unsqueeze(1)], 1);
            v = cat([v, targets.Tail.unsqueeze(1)], 1);
            isPresent = cat([isPresent, ones_like(targets.HasSoft).unsqueeze(1)], 1);
        }

        var (logTeacher, logStudent) = ((v / temperature).log_softmax(1), (u / temperature).log_softmax(1));
        var probability = logTeacher.exp();
        var gap = (logTeacher - logStudent).masked_fill(probability.eq(0) | ~isPresent, 0);       // 0·∞ is 0 here
        return (probability * gap).sum(1);
    }
}
