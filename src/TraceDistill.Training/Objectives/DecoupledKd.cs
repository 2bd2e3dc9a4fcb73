using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, O = outcomes

/// <summary>
/// Decoupled distillation (DKD, Zhao et al., arXiv 2203.08679, equation 7): α · KL(b_p ‖ b_q) + β · KL(p̂ ‖ q̂), where b is the drawn token
/// against all others and p̂, q̂ are the distributions among the others. KL(p ‖ q) has α = 1 and β = 1 − p of the drawn token.
/// </summary>
/// <remarks>A token that was drawn outside of what the teacher reported has a probability that is not known: its loss is 0.</remarks>
public sealed record DecoupledKd : Divergence
{
    /// <value>1.</value>
    [Range(0.0, 1000.0, ErrorMessage = "must be from 0 to 1000")]
    [Description("Weight of the drawn token against all others")]
    public double Alpha { get; init; } = 1;

    /// <value>2.</value>
    [Range(0.0, 1000.0, ErrorMessage = "must be from 0 to 1000")]
    [Description("Weight of the distribution among the other tokens")]
    public double Beta { get; init; } = 2;

    public override string Name => "dkd";

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at)
    {
        var isDrawn = outcomes.IsDrawn; // [R, O]
        var isKnown = isDrawn.any(1); // [R]
        var (teacher, student) = (Split(outcomes.LogTeacher), Split(outcomes.LogStudent));
        var target = Divergence(teacher.Two, student.Two);
        // Where the teacher is certain nothing is known of the others.
        var among = Divergence(teacher.Others, student.Others);
        return target.Times(Alpha).Plus(among.Times(Beta)).ZeroWhere(~isKnown);

        (Tensor Two, Tensor Others) Split(Tensor log)
        {
            var all = outcomes.Normalize(log); // [R, O]
            var others = all.FillWhere(isDrawn, Outcomes.Never);
            var drawn = all.ZeroWhere(~isDrawn).sum(1, keepdim: true); // [R, 1]
            return (cat([drawn, others.logsumexp(1, keepdim: true)], 1).log_softmax(1), others.log_softmax(1));
        }

        static Tensor Divergence(Tensor p, Tensor q)
        {
            var probability = p.exp();
            return (probability * (p - q).ZeroWhere(probability.IsZero())).sum(1);
        }
    }
}
