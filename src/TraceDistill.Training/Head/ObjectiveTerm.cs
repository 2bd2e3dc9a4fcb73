using TraceDistill.Training.Objectives;

namespace TraceDistill.Training.Head;

/// <summary>One objective at one step, and how much it counts.</summary>
/// <param name="Objective">The function.</param>
/// <param name="Weight">At tokens without soft targets; of no meaning for an objective that needs them.</param>
/// <param name="SoftWeight">At tokens with soft targets.</param>
public sealed record ObjectiveTerm(TokenObjective Objective, double Weight, double SoftWeight)
{
    /// <summary>Under which it is reported: <c>loss_</c> and this.</summary>
    public string Name => Objective.ShortName;
}
