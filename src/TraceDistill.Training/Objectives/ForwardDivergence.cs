using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// K = soft targets, p = teacher, q = student, T = temperature

/// <summary>
/// KL(teacher ‖ student) over the tokens that the teacher reported (Hinton et al., arXiv 1503.02531, for all tokens) and, under
/// <see cref="MissingMass.TailBucket"/>, one outcome more for all others.
/// </summary>
/// <remarks>
/// Outcomes are u = (log q₁ … log q_K, log Σ_rest q) and v likewise for the teacher, both at T = 1.
/// Then t = softmax(v/T), s = softmax(u/T) and KL = Σ t (log t − log s); the temperature's factor T²
/// is the caller's. Where K is the whole vocabulary the two policies are equal to dense distillation.
/// </remarks>
public sealed class ForwardDivergence(double temperature, MissingMass missingMass) : IObjective
{
    public bool NeedsSoftTargets => true;

    public string? Refuses(MissingMass policy) => null;

    public Tensor Loss(StudentRows student, TargetRows targets)
    {
        var hasTail = missingMass == MissingMass.TailBucket;
        var (v, u) = (hasTail ? targets.LogProbabilities : targets.Reported, hasTail ? student.LogProbabilities : student.Reported);
        // With all outcomes, the student's probabilities are normalised as they are.
        var logStudent = hasTail && temperature == 1 ? u : Tempered(u).log_softmax(1);
        var logTeacher = Tempered(v).log_softmax(1);
        var probability = logTeacher.exp();
        return (probability * (logTeacher - logStudent).ZeroWhere(probability.IsZero())).sum(1); // 0·∞ is 0
    }

    Tensor Tempered(Tensor logits) => temperature == 1 ? logits : logits.Times(1 / temperature);
}
