using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// Temporally adaptive interpolated distillation (TAID, Shing et al., arXiv 2501.16937, equations 3 to 6): KL(pₜ ‖ q) for a teacher
/// pₜ = softmax((1 − t) · log q + t · log p) between the student as it is, without a gradient, and the teacher. t goes from t_start to
/// t_end, faster while the loss falls, and never behind a straight line.
/// </summary>
public sealed record Taid : Divergence
{
    const string Place = "taid.t",
        Momentum = "taid.momentum",
        Former = "taid.loss";

    /// <value>0.4.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Share of the teacher at the first step")]
    public double TStart { get; init; } = 0.4;

    /// <value>1.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Share of the teacher at the end")]
    public double TEnd { get; init; } = 1;

    /// <value>0.0005.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Largest step of the share, relative to what is left")]
    public double StepSize { get; init; } = 5e-4;

    /// <value>0.99.</value>
    [Range(0.0, 0.9999, ErrorMessage = "must be from 0 to 0.9999")]
    [Description("Decay of the mean relative fall of the loss, by which the share's steps go")]
    public double Decay { get; init; } = 0.99;

    public override string Name => "taid";

    public override IReadOnlyList<string> Adapts => [Place, Momentum, Former];

    public override string? Problem => TStart > TEnd ? "t_start is above t_end" : null;

    public override void Adapt(AdaptiveState state, double loss, TrainingPoint at)
    {
        const double Least = 1e-8;
        var t = state.Get(Place, TStart);
        var former = state.Get(Former, loss);
        var momentum = (Decay * state.Get(Momentum, 0)) + ((1 - Decay) * (former - loss) / (former + Least));
        var line = TStart + ((TEnd - TStart) * (at.Step + 1) / at.Steps);
        var step = StepSize / (1 + Math.Exp(-momentum)) * (1 - t);
        state.Set(Momentum, momentum);
        state.Set(Former, loss);
        state.Set(Place, Math.Min(TEnd, Math.Max(line, t + step)));
    }

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at)
    {
        Tensor teacher;
        using (no_grad())
        {
            var t = at.Learned?.Get(Place, TStart) ?? TStart;
            teacher = outcomes.Normalize(outcomes.LogStudent.Times(1 - t).Plus(outcomes.LogTeacher.Times(t)));
        }

        return (teacher.exp() * (outcomes.ZeroAbsent(teacher) - outcomes.LogStudent)).sum(1);
    }
}
