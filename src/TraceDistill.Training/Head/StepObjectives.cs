using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;

namespace TraceDistill.Training.Head;

/// <summary>The loss of one step: Σ weight · objective, over each token.</summary>
/// <param name="Terms">Objectives with a weight.</param>
/// <param name="Policy">How soft targets are made of what the teacher says.</param>
/// <param name="At">The step.</param>
public sealed record StepObjectives(IReadOnlyList<ObjectiveTerm> Terms, TargetPolicy Policy, TrainingPoint At)
{
    /// <summary>True where an objective looks at all of the student's logits.</summary>
    public bool NeedsAllLogits { get; } = Terms.Any(term => term.Objective.NeedsAllLogits);

    /// <summary>Objectives of states with a weight.</summary>
    public IReadOnlyList<StateTerm> States { get; init; } = [];

    /// <summary>Layers that are exits; null for none.</summary>
    public StepExits? Exits { get; init; }

    /// <summary>In a training of classifiers: how the losses of its tasks are made and weighed; null in one on traces.</summary>
    public StepTasks? Tasks { get; init; }

    /// <summary>α, where one weighs soft against hard loss.</summary>
    public double? Alpha { get; init; }

    /// <summary>True where <see cref="StepDiagnostics"/> are wanted, which changes no bit of the gradient.</summary>
    public bool Measures { get; init; }

    /// <summary>True where a teacher that is a model is run.</summary>
    public bool RunsTeacher => NeedsSoftTargets || States.Count > 0;

    /// <summary>True where an objective takes soft targets.</summary>
    public bool NeedsSoftTargets { get; } = Terms.Any(term => term.Objective.NeedsSoftTargets);
}
