namespace TraceDistill.Training.Head;

/// <summary>Layers that are exits, and the loss of each at one step.</summary>
/// <param name="Layers">From 0.</param>
/// <param name="Objectives">With their weights.</param>
public sealed record StepExits(IReadOnlyList<int> Layers, StepObjectives Objectives);
