namespace TraceDistill.Training.Objectives;

/// <summary>A step of a training, by which schedules and adaptive rules go.</summary>
/// <param name="Step">Counted from 0.</param>
/// <param name="Steps">Steps of the whole training.</param>
/// <param name="Learned">What objectives have noted at the steps before; null for nothing.</param>
public readonly record struct TrainingPoint(long Step, long Steps, AdaptiveState? Learned = null)
{
    /// <summary>The first step.</summary>
    public static TrainingPoint First { get; } = new(0, 1);
}
