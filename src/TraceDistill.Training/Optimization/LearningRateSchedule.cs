namespace TraceDistill.Training.Optimization;

/// <summary>Shape of the decay after warm-up; names as in Transformers' <c>lr_scheduler_type</c>.</summary>
public enum LrSchedulerType
{
    Cosine,
    Linear,
    Constant,

    /// <summary>
    /// Constant until the last <c>lr_decay_ratio</c> of the steps, then linear: the length of a run can be decided late.
    /// </summary>
    WarmupStableDecay,
}

/// <summary>
/// Linear warm-up whose last step is at the peak, then decay to <paramref name="MinLrRatio"/> of the peak at the last step. A
/// decay to 0 would waste that step: it reaches 0 one step later, as in Transformers' <c>get_linear_schedule_with_warmup</c>.
/// </summary>
/// <param name="LearningRate">Peak.</param>
/// <param name="WarmupSteps">Steps used for warmup.</param>
/// <param name="MinLrRatio">Last value as a fraction of the peak.</param>
/// <param name="DecayRatio">Fraction of all steps in which <see cref="LrSchedulerType.WarmupStableDecay"/> decays.</param>
/// <param name="Type">Shape of the decay.</param>
public sealed record LearningRateSchedule(double LearningRate, long WarmupSteps, double MinLrRatio, double DecayRatio, LrSchedulerType Type)
{
    /// <summary>Learning rate of step <paramref name="step"/> of <paramref name="steps"/>, counted from 0.</summary>
    public double ValueAt(long step, long steps)
    {
        if (step < WarmupSteps)
        {
            return LearningRate * (step + 1) / WarmupSteps;
        }

        var progress = Progress(step, steps);
        var share = Type switch
        {
            LrSchedulerType.Cosine => 0.5 * (1 + Math.Cos(Math.PI * progress)),
            LrSchedulerType.Linear or LrSchedulerType.WarmupStableDecay => 1 - progress,
            _ => 1,
        };
        return LearningRate * (MinLrRatio + (1 - MinLrRatio) * share);
    }

    /// <summary>The part of the decay that lies behind a step, 0 to 1.</summary>
    double Progress(long step, long steps)
    {
        var start =
            Type == LrSchedulerType.WarmupStableDecay ? Math.Max(WarmupSteps, steps - (long)Math.Round(DecayRatio * steps)) : WarmupSteps;
        var end = MinLrRatio > 0 ? steps - 1 : steps;
        if (step < start || steps == 1)
        {
            return 0;
        }

        return start < end ? (double)(step - start) / (end - start) : 1;
    }
}
