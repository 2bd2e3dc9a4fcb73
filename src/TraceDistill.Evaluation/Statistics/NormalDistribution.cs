namespace TraceDistill.Evaluation.Statistics;

/// <summary>The standard normal distribution.</summary>
public static class NormalDistribution
{
    /// <summary>Φ(x), by the series Φ(x) = ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …); absolute error below 1e-15.</summary>
    /// <remarks>G. Marsaglia, “Evaluating the Normal Distribution”, Journal of Statistical Software 11(4), 2004.</remarks>
    public static double Cdf(double x)
    {
        // The series needs more terms than it is worth out there, and 1 − Φ(9) is 1e-19.
        if (Math.Abs(x) > 9)
        {
            return x < 0 ? 0 : 1;
        }

        var (sum, term) = (x, x);
        for (var n = 3; Math.Abs(term) > 1e-17 * Math.Abs(sum); n += 2)
        {
            term *= x * x / n;
            sum += term;
        }

        return 0.5 + sum * Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI);
    }

    /// <summary>Φ⁻¹(p), for p strictly between 0 and 1.</summary>
    public static double Quantile(double p) => Bisection.Invert(Cdf, p, -9, 9);
}
