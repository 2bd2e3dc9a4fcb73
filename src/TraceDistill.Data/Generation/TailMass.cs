namespace TraceDistill.Data.Generation;

/// <summary>The probability that a row of logprobs leaves out.</summary>
public static class TailMass
{
    const double Unit = 1.0 / (1 << 23);

    /// <summary>
    /// log(1 − Σ eˡ) = log(−expm1(logsumexp l)) in float64; −∞ where the entries sum to one or more, or to so little less that rounding
    /// them to float32 makes that much: nothing is outside the counts of draws, or outside a whole vocabulary. 0 where there are none.
    /// </summary>
    /// <remarks>Rounding moves an entry by |l|·2⁻²⁴ at most, and once more where entries were put together: Σ eˡ·|l|·2⁻²³ in all.</remarks>
    /// <param name="logprobs">Natural-log probabilities of the entries.</param>
    /// <param name="keepsLeast">True where even what rounding explains is a tail: for who raises it to a power below one.</param>
    public static float Logprob(ReadOnlySpan<float> logprobs, bool keepsLeast = false)
    {
        double maximum = double.NegativeInfinity,
            sum = 0,
            rounding = 0;
        foreach (var logprob in logprobs)
        {
            maximum = Math.Max(maximum, logprob);
        }

        foreach (var logprob in logprobs)
        {
            sum += Math.Exp(logprob - maximum);
            rounding += float.IsNegativeInfinity(logprob) ? 0 : Math.Exp(logprob) * Math.Abs(logprob) * Unit;
        }

        var covered = maximum + Math.Log(sum);
        return double.IsNaN(covered) ? 0
            : -Expm1(covered) is var tail && tail > (keepsLeast ? 0 : rounding) ? (float)Math.Log(tail)
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
