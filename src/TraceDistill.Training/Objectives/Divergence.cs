using System.ComponentModel;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, O = outcomes, p = teacher, q = student, T = temperature

/// <summary>A distance of the student's distribution from the teacher's, both tempered by T; multiplied by T².</summary>
public abstract record Divergence : Objective
{
    /// <value>Null: kd_temperature.</value>
    [Description("Temperature of teacher and student in this objective; kd_temperature unless given")]
    public Schedule? Temperature { get; init; }

    /// <value>uniform.</value>
    [Description("Weight of each token within this objective: uniform, confidence (of the teacher) or gap (between teacher and student)")]
    public TokenWeight TokenWeight { get; init; }

    public override bool NeedsSoftTargets => true;

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
    {
        var temperature = TemperatureOf(student, targets, at);
        var loss = temperature.Rescale(Between(Outcomes.Of(student, targets, temperature), at));
        return TokenWeight == TokenWeight.Uniform ? loss : loss * WeightOf(Outcomes.Of(student, targets, Distributions.Temperature.One));
    }

    /// <param name="outcomes">Both at their temperature.</param>
    /// <param name="at">When.</param>
    /// <returns>[R] in nats.</returns>
    protected abstract Tensor Between(Outcomes outcomes, TrainingPoint at);

    Temperature TemperatureOf(StudentRows student, TargetRows targets, TrainingPoint at)
    {
        if (Temperature is not { Kind: ScheduleKind.TeacherEntropy } rule)
        {
            return Temperature is { } schedule ? new Temperature(schedule.ValueAt(at)) : Distributions.Temperature.One;
        }

        using var noGrad = no_grad();
        var doubt = Outcomes.Of(student, targets, Distributions.Temperature.One).TeacherEntropy().neg().exp().Times(-1).Plus(1); // [R]
        return new Temperature(doubt.Times(rule.To - rule.From).Plus(rule.From).unsqueeze(1));
    }

    Tensor WeightOf(Outcomes outcomes) => TokenWeight == TokenWeight.Gap ? outcomes.Gap() : outcomes.TeacherEntropy().neg().exp();

    /// <returns>[R] KL(p ‖ q).</returns>
    protected static Tensor Forward(Outcomes outcomes) => (outcomes.Teacher * (outcomes.LogTeacher - outcomes.LogStudent)).sum(1);

    /// <returns>[R] KL(q ‖ p).</returns>
    protected static Tensor Reverse(Outcomes outcomes) => (outcomes.Student * (outcomes.LogStudent - outcomes.LogTeacher)).sum(1);
}
