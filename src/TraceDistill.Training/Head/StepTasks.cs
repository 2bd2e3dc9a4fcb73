namespace TraceDistill.Training.Head;

/// <summary>The losses of labels at one step.</summary>
/// <param name="Names">The tasks.</param>
/// <param name="Factors">
/// What each item's loss is multiplied by, by task: its weight · items of all tasks / items of the task, so that the sum over the step's
/// items, divided once by their count, is Σ weight · mean loss of the task.
/// </param>
/// <param name="Temperature">T of teacher and student in the soft loss.</param>
/// <param name="Smoothing">ε of label smoothing.</param>
public sealed record StepTasks(IReadOnlyList<string> Names, IReadOnlyList<double> Factors, double Temperature, double Smoothing);
