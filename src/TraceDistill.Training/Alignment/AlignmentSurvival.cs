namespace TraceDistill.Training.Alignment;

/// <summary>Share of a teacher's report that reaches a student with another vocabulary.</summary>
/// <param name="Tokens">Trained tokens.</param>
/// <param name="SoftTokens">Those that have soft targets.</param>
/// <param name="ReportedMass">Probability that the teacher reported for these, summed.</param>
/// <param name="MappedMass">As much of it as stands on tokens of the student.</param>
public readonly record struct AlignmentSurvival(long Tokens, long SoftTokens, double ReportedMass, double MappedMass)
{
    /// <summary>Share of trained tokens that have soft targets, 0 to 1.</summary>
    public double Positions => Tokens == 0 ? 0 : (double)SoftTokens / Tokens;

    /// <summary>Share of the reported probability that stands on tokens of the student, 0 to 1.</summary>
    public double Mass => ReportedMass == 0 ? 0 : MappedMass / ReportedMass;

    public static AlignmentSurvival operator +(AlignmentSurvival a, AlignmentSurvival b) =>
        new(a.Tokens + b.Tokens, a.SoftTokens + b.SoftTokens, a.ReportedMass + b.ReportedMass, a.MappedMass + b.MappedMass);
}
