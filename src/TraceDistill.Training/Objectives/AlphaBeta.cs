using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// α–β divergence −1/(αβ) · Σ (p^α q^β − α/(α + β) · p^(α+β) − β/(α + β) · q^(α+β)) (Cichocki et al., Entropy 13 (2011), equation 19;
/// ABKD, arXiv 2505.04560): forward KL for (1, 0), reverse KL for (0, 1), by their limits.
/// </summary>
/// <remarks>
/// Over distributions: what does not depend on the student is kept, so that it is 0 where both are equal. A larger α puts more weight
/// on where both differ most, a larger β on what the student is sure of.
/// </remarks>
public sealed record AlphaBeta : Divergence
{
    /// <value>0.2.</value>
    [Range(0.0, 4.0, ErrorMessage = "must be from 0 to 4")]
    [Description("Exponent of the teacher's probability")]
    public double Alpha { get; init; } = 0.2;

    /// <value>0.7.</value>
    [Range(0.0, 4.0, ErrorMessage = "must be from 0 to 4")]
    [Description("Exponent of the student's probability")]
    public double Beta { get; init; } = 0.7;

    public override string Name => "alpha_beta";

    public override string? Problem => Alpha + Beta <= 0 ? "alpha and beta cannot both be 0" : null;

    public override string? Refuses(MissingMass policy) =>
        policy == MissingMass.Renormalize || Alpha == 0 ? KlReverse.ReverseReason(policy) : null;

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at)
    {
        var sum = Alpha + Beta;
        var student = outcomes.ZeroAbsent(outcomes.LogStudent.Times(sum).exp()); // q^(α+β)
        if (Alpha == 0)
        {
            // The limit: 1/β² · Σ (q^β (log q^β − log p^β) − q^β + p^β).
            var teacher = outcomes.ZeroAbsent(outcomes.LogTeacher.Times(Beta).exp());
            return (student * (outcomes.LogStudent - outcomes.LogTeacher).Times(Beta) - student + teacher).sum(1).Times(1 / (Beta * Beta));
        }

        var power = PowerOfTeacher(outcomes, sum);
        if (Beta == 0)
        {
            // The limit: 1/α² · Σ (p^α (log p^α − log q^α) − p^α + q^α).
            return (power * (outcomes.LogTeacher - outcomes.LogStudent).Times(Alpha) - power + student).sum(1).Times(1 / (Alpha * Alpha));
        }

        var both = (outcomes.LogTeacher.Times(Alpha) + outcomes.LogStudent.Times(Beta)).exp().ZeroWhere(outcomes.IsZero);
        return (power.Times(Alpha / sum) + student.Times(Beta / sum) - both).sum(1).Times(1 / (Alpha * Beta));
    }

    /// <returns>[R, O] of a power above 0; a true 0 where the teacher has none.</returns>
    static Tensor PowerOfTeacher(Outcomes outcomes, double power) => outcomes.LogTeacher.Times(power).exp().ZeroWhere(outcomes.IsZero);
}
