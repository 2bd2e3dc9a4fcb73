namespace TraceDistill.Training.Objectives;

/// <summary>One objective of a training, and how much it counts.</summary>
/// <param name="Name">Under which it is reported: <c>loss_</c> and this.</param>
/// <param name="Objective">The function.</param>
/// <param name="Weight">At tokens without soft targets; of no meaning for an objective that needs them.</param>
/// <param name="SoftWeight">At tokens with soft targets.</param>
public sealed record ObjectiveTerm(string Name, IObjective Objective, double Weight, double SoftWeight);
