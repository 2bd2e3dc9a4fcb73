namespace TraceDistill.Evaluation.Statistics;

/// <summary>Quantiles from a distribution function, where speed does not matter and certainty does.</summary>
static class Bisection
{
    /// <returns>
    /// The x between <paramref name="low"/> and <paramref name="high"/> at which the rising
    /// <paramref name="cdf"/> reaches <paramref name="p"/>.
    /// </returns>
    public static double Invert(Func<double, double> cdf, double p, double low, double high)
    {
        while (true)
        {
            var middle = low + (high - low) / 2;
            if (middle <= low || middle >= high)
            {
                return middle;
            }

            if (cdf(middle) < p)
            {
                low = middle;
            }
            else
            {
                high = middle;
            }
        }
    }
}
