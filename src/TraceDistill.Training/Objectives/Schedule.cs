using System.ComponentModel;
using System.Globalization;
using System.Text.Json.Serialization;

namespace TraceDistill.Training.Objectives;

/// <summary>The course of a schedule between its two ends.</summary>
public enum ScheduleKind
{
    /// <summary>Always <see cref="Schedule.From"/>.</summary>
    Constant,

    /// <summary>A straight line.</summary>
    Linear,

    /// <summary>Half a cosine wave: slow, fast, slow.</summary>
    Cosine,

    /// <summary><see cref="Schedule.From"/> before the step <see cref="Schedule.At"/>, <see cref="Schedule.To"/> from it on.</summary>
    Step,

    /// <summary>The same factor at every step; both ends are above 0.</summary>
    Exponential,

    /// <summary>
    /// Of a temperature: each token's own, <see cref="Schedule.From"/> where the teacher is certain, and towards <see cref="Schedule.To"/>
    /// the less it is: from + (to − from) · (1 − e^(−H)) with its entropy H in nats.
    /// </summary>
    TeacherEntropy,

    /// <summary>
    /// Of kd_alpha: <see cref="Schedule.From"/> at first, then towards where soft and hard loss have gradients of one size,
    /// α · ‖g_soft‖ = (1 − α) · ‖g_hard‖.
    /// </summary>
    GradientBalance,
}

/// <summary>A value that may change over training: a number, or <c>{ schedule: cosine, from: 0.9, to: 0.5 }</c>.</summary>
public sealed record Schedule : IParsable<Schedule>
{
    [Description(
        "Course of the value: constant, linear, cosine, exponential or step; of a temperature also teacher_entropy, "
            + "of kd_alpha gradient_balance"
    )]
    [JsonPropertyName("schedule")]
    public ScheduleKind Kind { get; init; }

    [Description("Value at the first step")]
    public double? From { get; init; }

    [Description("Value at the last step")]
    public double? To { get; init; }

    /// <summary><see cref="From"/>, of a schedule without a <see cref="Problem"/>.</summary>
    internal double First => From ?? 0;

    double Last => To ?? First;

    /// <summary>Share of all steps after which a step schedule changes.</summary>
    /// <value>0.5.</value>
    [Description("Fraction of all steps after which a step schedule changes")]
    public double At { get; init; } = 0.5;

    /// <summary>The value at every step.</summary>
    public static Schedule Constant(double value) => new() { From = value, To = value };

    /// <summary>The value at step <paramref name="step"/> of <paramref name="steps"/>, counted from 0.</summary>
    public double ValueAt(long step, long steps)
    {
        var progress = steps > 1 ? (double)step / (steps - 1) : 0;
        return Kind switch
        {
            ScheduleKind.Linear => First + (Last - First) * progress,
            ScheduleKind.Cosine => Last + (First - Last) * 0.5 * (1 + Math.Cos(Math.PI * progress)),
            ScheduleKind.Step => progress < At ? First : Last,
            ScheduleKind.Exponential => First * Math.Pow(Last / First, progress),
            _ => First,
        };
    }

    /// <summary>True where the step decides the value.</summary>
    internal bool IsOverSteps => Kind is not (ScheduleKind.TeacherEntropy or ScheduleKind.GradientBalance);

    /// <summary>The value at a point of a training.</summary>
    public double ValueAt(TrainingPoint at) => ValueAt(at.Step, at.Steps);

    /// <summary>The fault of its settings; null where there is none.</summary>
    internal string? Problem =>
        Kind == ScheduleKind.Constant && From != To ? "needs schedule beside from and to: linear, cosine, exponential or step"
        : Kind == ScheduleKind.GradientBalance && !(From > 0 && From < 1)
            ? "gradient_balance starts from a kd_alpha above 0 and below 1: give from"
        : Kind == ScheduleKind.GradientBalance && To is not null ? "gradient_balance ends where the gradients have it; leave to out"
        : From is null ? "needs from, the value at first"
        : To is null && Kind != ScheduleKind.GradientBalance ? "needs to, the value at last"
        : Kind == ScheduleKind.Exponential && !(From > 0 && To > 0) ? "an exponential schedule goes between numbers above 0"
        : At is < 0 or > 1 ? "at must be from 0 to 1"
        : null;

    /// <summary>The smallest and largest value it takes.</summary>
    public (double Low, double High) Range =>
        Kind is ScheduleKind.Constant or ScheduleKind.GradientBalance ? (First, First) : (Math.Min(First, Last), Math.Max(First, Last));

    /// <summary>The difference of both ends.</summary>
    internal double Span => Last - First;

    public static Schedule Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var result)
            ? result
            : throw new FormatException($"expected a number or a map with schedule, from and to, found \"{s}\"");

    public static bool TryParse(string? s, IFormatProvider? provider, out Schedule result)
    {
        var parsed = double.TryParse(s, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && double.IsFinite(value);
        result = Constant(value);
        return parsed;
    }

    public override string ToString() => Kind == ScheduleKind.Constant ? $"{From}" : $"{Kind.ToString().ToLowerInvariant()} {From} → {To}";
}
