namespace TraceDistill.Evaluation.Statistics;

/// <summary>The regularized incomplete beta function I_x(a, b), on which the t and the binomial distribution rest.</summary>
static class IncompleteBeta
{
    const double Tiny = 1e-300;

    /// <remarks>
    /// Continued fraction of NIST's Digital Library of Mathematical Functions, 8.17.22, evaluated
    /// by Lentz's method; symmetry 8.17.4 keeps x on the side where it converges quickly.
    /// </remarks>
    public static double Regularized(double x, double a, double b)
    {
        if (x <= 0 || x >= 1)
        {
            return x <= 0 ? 0 : 1;
        }

        if (x > (a + 1) / (a + b + 2))
        {
            return 1 - Regularized(1 - x, b, a);
        }

        var front = Math.Exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * Math.Log(x) + b * Math.Log(1 - x)) / a;
        var (fraction, c, d) = (1.0, 1.0, 0.0);
        for (var i = 0; ; i++)
        {
            var m = i / 2;
            var coefficient = i switch
            {
                0 => 1,
                _ when i % 2 == 0 => m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                _ => -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
            };
            d = 1 / AwayFromZero(1 + coefficient * d);
            c = AwayFromZero(1 + coefficient / c);
            fraction *= c * d;
            if (Math.Abs(1 - c * d) < 1e-15)
            {
                return front * (fraction - 1);
            }
        }
    }

    /// <summary>ln Γ(x) for x &gt; 0: Stirling's series (DLMF 5.11.1) after raising x to at least 15 by Γ(x + 1) = x Γ(x).</summary>
    public static double LogGamma(double x)
    {
        var shift = 0.0;
        for (; x < 15; x++)
        {
            shift -= Math.Log(x);
        }

        var r = 1 / (x * x);
        var series = (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) / x;
        return shift + (x - 0.5) * Math.Log(x) - x + 0.5 * Math.Log(2 * Math.PI) + series;
    }

    static double AwayFromZero(double value) => Math.Abs(value) < Tiny ? Tiny : value;
}
