using System.ComponentModel;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, O = outcomes, p = teacher, q = student, T = temperature

/// <summary>A distance of the student's distribution from the teacher's, both tempered by T; multiplied by T².</summary>
public abstract record Divergence : TokenObjective
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
        var plain = new Lazy<Outcomes>(() => Outcomes.Of(student, targets, Distributions.Temperature.One));
        var temperature = TemperatureAt(plain, at);
        var outcomes = temperature.IsOne ? plain.Value : Outcomes.Of(student, targets, temperature);
        var loss = temperature.Rescale(Between(outcomes, at));
        return TokenWeight == TokenWeight.Uniform ? loss : loss * WeightOf(plain.Value);
    }

    /// <param name="outcomes">Both at their temperature.</param>
    /// <param name="at">When.</param>
    /// <returns>[R] in nats.</returns>
    protected abstract Tensor Between(Outcomes outcomes, TrainingPoint at);

    /// <param name="plain">Both at T = 1, by which a token may have a temperature of its own.</param>
    Temperature TemperatureAt(Lazy<Outcomes> plain, TrainingPoint at)
    {
        if (Temperature is not { Kind: ScheduleKind.TeacherEntropy } rule)
        {
            return Temperature is { } schedule ? new Temperature(schedule.ValueAt(at)) : Distributions.Temperature.One;
        }

        var outcomes = plain.Value;
        using var noGrad = no_grad();
        var doubt = outcomes.TeacherEntropy().neg().exp().Times(-1).Plus(1); // [R]
        return new Temperature(doubt.Times(rule.Span).Plus(rule.First).unsqueeze(1));
    }

    Tensor WeightOf(Outcomes outcomes) => TokenWeight == TokenWeight.Gap ? outcomes.Gap() : outcomes.TeacherEntropy().neg().exp();

    /// <returns>[R] KL(p ‖ q).</returns>
    protected static Tensor Forward(Outcomes outcomes) => (outcomes.Teacher * (outcomes.LogTeacher - outcomes.LogStudent)).sum(1);

    /// <returns>[R] KL(q ‖ p).</returns>
    protected static Tensor Reverse(Outcomes outcomes) => (outcomes.Student * (outcomes.LogStudent - outcomes.LogTeacher)).sum(1);
}
