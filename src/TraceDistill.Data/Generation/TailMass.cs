namespace TraceDistill.Data.Generation;

/// <summary>The probability that a row of logprobs leaves out.</summary>
public static class TailMass
{
    /// <summary>
    /// log(1 − Σ eˡ) = log(−expm1(logsumexp l)) in float64; −∞ where rounding has the entries sum to one or more, 0 where there are none.
    /// </summary>
    public static float Logprob(ReadOnlySpan<float> logprobs)
    {
        double maximum = double.NegativeInfinity,
            sum = 0;
        foreach (var logprob in logprobs)
        {
            maximum = Math.Max(maximum, logprob);
        }

        foreach (var logprob in logprobs)
        {
            sum += Math.Exp(logprob - maximum);
        }

        var covered = maximum + Math.Log(sum);
        return covered < 0 ? (float)Math.Log(-Expm1(covered))
            : double.IsNaN(covered) ? 0
            : float.NegativeInfinity;
    }

    /// <summary>eˣ − 1 without cancellation near zero (Kahan's quotient form).</summary>
    static double Expm1(double x)
    {
        var e = Math.Exp(x);
        return e == 1 ? x
            : e - 1 == -1 ? -1
            : (e - 1) * x / Math.Log(e);
    }
}
