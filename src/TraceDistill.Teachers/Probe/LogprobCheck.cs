using TraceDistill.Core.Generation;
using TraceDistill.Core.Storage;

namespace TraceDistill.Teachers.Probe;

/// <summary>Tells logprobs that a model computed from ones that a server made up.</summary>
static class LogprobCheck
{
    // Room for rounding in half precision, summed over some twenty alternatives.
    const double Tolerance = 0.01;

    /// <returns>What is wrong, or null.</returns>
    public static string? Problem(TokenLogprobs logprobs)
    {
        if (logprobs.Count == 0)
        {
            return "returned logprobs for no token";
        }

        if (logprobs.TopIds.All(id => id < 0))
        {
            return "returned the logprob of each token but no alternatives";
        }

        for (var t = 0; t < logprobs.Count; t++)
        {
            var sum = 0.0;
            for (var i = t * logprobs.K; i < (t + 1) * logprobs.K; i++)
            {
                sum += Math.Exp(logprobs.TopLogprobs[i]);
            }

            if (sum > 1 + Tolerance)
            {
                return $"returned alternatives whose probabilities add up to {sum:0.###}";
            }

            if (IsContradictory(logprobs, t))
            {
                return $"returned a drawn token of probability {Math.Exp(logprobs.Logprobs[t]):0.###} that its own alternatives contradict";
            }
        }

        // Alternatives at the floor of -9999 were left out on reading, so a made-up row has one entry, of probability 1.
        return logprobs.Logprobs.All(logprob => logprob == 0) && logprobs.TopLogprobs.All(logprob => logprob is 0 or float.NegativeInfinity)
            ? "returned made-up logprobs (0 for each token, nothing for any other)"
            : null;
    }

    /// <summary>Whether the drawn token has another probability among the alternatives, or is likelier than the last of them without being one.</summary>
    static bool IsContradictory(TokenLogprobs logprobs, int t)
    {
        var row = logprobs.TopIds.AsSpan(t * logprobs.K, logprobs.K);
        var values = logprobs.TopLogprobs.AsSpan(t * logprobs.K, logprobs.K);
        var drawn = Math.Exp(logprobs.Logprobs[t]);
        var at = row.IndexOf(logprobs.TokenIds[t]);
        return at >= 0 ? Math.Abs(Math.Exp(values[at]) - drawn) > Tolerance : row.IndexOf(-1) < 0 && drawn > Math.Exp(values[^1]) + Tolerance;
    }

    /// <summary>
    /// Whether logprobs follow the temperature: the first token's at temperature 1 beside those at another. How much less likely than the best an
    /// alternative is, as a logarithm, stays as it is in raw logprobs and is divided by the temperature in processed ones, however sure the model is.
    /// </summary>
    /// <param name="plain">At temperature 1.</param>
    /// <param name="other">At <paramref name="temperature"/>.</param>
    /// <param name="temperature">Below 1.</param>
    /// <returns>Null where the alternatives are too few, or too much alike, to tell.</returns>
    public static LogprobKind? KindOf(TokenLogprobs plain, TokenLogprobs other, double temperature)
    {
        // A logit from 16 to 32 is rounded to eighths in bfloat16: differences below that say little.
        const double Least = 0.5;
        var (before, after) = (0.0, 0.0);
        var best = At(0);
        for (var i = 1; best >= 0 && i < plain.K && plain.TopIds[i] >= 0; i++)
        {
            var distance = plain.TopLogprobs[0] - plain.TopLogprobs[i];
            if (distance < Least)
            {
                continue;
            }

            if (At(i) is var at && at < 0)
            {
                // It fell out of the list, or to a probability of nothing: its place was not taken by rounding.
                return distance < -Math.Log(Tolerance) ? LogprobKind.Processed : KindOf();
            }

            (before, after) = (before + distance, after + other.TopLogprobs[best] - other.TopLogprobs[at]);
        }

        return KindOf();

        LogprobKind? KindOf() => before == 0 ? null : after / before < Math.Sqrt(1 / temperature) ? LogprobKind.Raw : LogprobKind.Processed;

        // Ids that stand for bytes are numbered anew in each response: there, ranks are compared.
        int At(int rank) => plain.TokenBytes is null ? other.TopIds.AsSpan(0, other.K).IndexOf(plain.TopIds[rank]) : rank < other.K && other.TopIds[rank] >= 0 ? rank : -1;
    }

    /// <summary>Most alternatives that any token has.</summary>
    public static int MostAlternatives(TokenLogprobs logprobs) => logprobs.TopIds.Chunk(logprobs.K).Max(row => row.Count(id => id >= 0));
}
