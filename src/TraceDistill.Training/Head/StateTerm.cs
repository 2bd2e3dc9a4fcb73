using TraceDistill.Training.Objectives.States;

namespace TraceDistill.Training.Head;

/// <summary>One objective of states at one step, and how much it counts.</summary>
/// <param name="Objective">The function.</param>
/// <param name="Weight">At each trained token.</param>
public sealed record StateTerm(StateObjective Objective, double Weight);
