using System.ComponentModel;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, O = outcomes, v = the teacher's logits, u = the student's

/// <summary>
/// The magnitude-enhanced divergence of non-target-class-enhanced distillation (NTCE-KD, Li et al., Sensors 24 (2024) 3617): KL(p_f ‖ q_f),
/// averaged over factors f, where the logit of the teacher's most probable token is lowered on both sides by f · (v₁ − v₂), f times its
/// distance from the second: at 1 the teacher's two first tokens are level, and the others weigh most.
/// </summary>
/// <remarks>The paper's augmentation of images has no counterpart for tokens and is left out.</remarks>
public sealed record NonTargetKd : Divergence
{
    /// <value>0.25, 0.5, 0.75 and 1.</value>
    [Description("Fractions of its lead by which the most probable token is lowered, each from 0 to 1; the mean of all is taken")]
    public IReadOnlyList<double> Factors { get; init; } = [0.25, 0.5, 0.75, 1];

    public override string Name => "ntce_kd";

    public override string? Problem =>
        Factors.Count == 0 || Factors.Any(factor => factor is not (>= 0 and <= 1)) ? "factors must be numbers from 0 to 1" : null;

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at)
    {
        Tensor lead,
            place;
        using (no_grad())
        {
            var v = outcomes.Normalize(outcomes.LogTeacher);
            var tokens = outcomes.HasTail ? v.narrow(1, 0, v.shape[1] - 1) : v;
            var (values, places) = tokens.topk((int)Math.Min(2, tokens.shape[1]), 1);
            var (first, second) = (values.narrow(1, 0, 1), values.narrow(1, values.shape[1] - 1, 1));
            // A single reported token has no second to be level with.
            lead = (first - second).ZeroWhere(second.IsBelow(Outcomes.Never / 2)); // [R, 1]
            place = places.narrow(1, 0, 1);
        }

        Tensor? sum = null;
        foreach (var factor in Factors)
        {
            Tensor shift;
            using (no_grad())
            {
                shift = zeros_like(outcomes.LogTeacher).scatter_(1, place, lead.Times(-factor));
            }

            var (p, q) = (outcomes.Normalize(outcomes.LogTeacher + shift), outcomes.Normalize(outcomes.LogStudent + shift));
            var loss = (p.exp() * outcomes.ZeroAbsent(p - q)).sum(1);
            sum = sum?.Plus(loss) ?? loss;
        }

        return sum!.Times(1.0 / Factors.Count);
    }
}
