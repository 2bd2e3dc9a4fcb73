namespace TraceDistill.Evaluation.Statistics;

/// <summary>Student's t distribution.</summary>
public static class StudentT
{
    /// <summary>P(|T| ≥ |t|) with <paramref name="degrees"/> ν of freedom: I_{ν/(ν+t²)}(ν/2, ½).</summary>
    /// <remarks>Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1 and 26.5.27.</remarks>
    public static double TwoSidedPValue(double t, double degrees) =>
        IncompleteBeta.Regularized(degrees / (degrees + t * t), degrees / 2, 0.5);

    /// <summary>The t that |T| stays below with the given confidence: 4.303 for 95 % and two degrees of freedom.</summary>
    public static double TwoSidedQuantile(double confidence, double degrees) =>
        Bisection.Invert(t => 1 - TwoSidedPValue(t, degrees), confidence, 0, 1e6);
}
