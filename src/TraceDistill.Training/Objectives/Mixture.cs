using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>The distribution between teacher and student that skewed divergences compare with.</summary>
static class Mixture
{
    /// <returns>[R, O] log(β · p + (1 − β) · q); 0 for filling.</returns>
    /// <param name="share">β, the teacher's, above 0 and below 1.</param>
    public static Tensor Log(Outcomes outcomes, double share)
    {
        // In logarithms, as both may be smaller than a number can be; a teacher's zero counts as none.
        var teacher = outcomes.LogTeacher.FillWhere(outcomes.IsZero, Outcomes.Never).Plus(Math.Log(share));
        var student = outcomes.LogStudent.Plus(Math.Log(1 - share));
        return outcomes.ZeroAbsent(logaddexp(teacher, student));
    }
}
