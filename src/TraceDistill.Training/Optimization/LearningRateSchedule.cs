namespace TraceDistill.Training.Optimization;

/// <summary>Shape of the decay after warm-up; names as in Transformers' <c>lr_scheduler_type</c>.</summary>
public enum LrSchedulerType
{
    Cosine,
    Linear,
    Constant,

    /// <summary>Constant until the last <c>lr_decay_ratio</c> of the updates, then linear: the length of a run can be decided late.</summary>
    WarmupStableDecay,
}

/// <summary>Linear warm-up from zero, then decay to <paramref name="MinLrRatio"/> of the peak.</summary>
/// <param name="LearningRate">Peak.</param>
/// <param name="WarmupSteps">Updates spent warming up.</param>
/// <param name="MinLrRatio">Last value as a share of the peak.</param>
/// <param name="DecayRatio">Share of all updates in which <see cref="LrSchedulerType.WarmupStableDecay"/> decays.</param>
/// <param name="Type">Shape of the decay.</param>
public sealed record LearningRateSchedule(double LearningRate, long WarmupSteps, double MinLrRatio, double DecayRatio, LrSchedulerType Type)
{
    /// <summary>Learning rate of update <paramref name="step"/> of <paramref name="steps"/>, counted from 0.</summary>
    public double ValueAt(long step, long steps)
    {
        if (step < WarmupSteps)
        {
            return LearningRate * (step + 1) / WarmupSteps;
        }

        var progress = steps - WarmupSteps > 1 ? (double)(step - WarmupSteps) / (steps - WarmupSteps - 1) : 0;
        var share = Type switch
        {
            LrSchedulerType.Cosine => 0.5 * (1 + Math.Cos(Math.PI * progress)),
            LrSchedulerType.Linear => 1 - progress,
            LrSchedulerType.WarmupStableDecay => Math.Min(1, (steps - step) / (DecayRatio * steps)),
            _ => 1,
        };
        return LearningRate * (MinLrRatio + (1 - MinLrRatio) * share);
    }
}
