using TraceDistill.Data.Generation;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Figures of one row of soft targets.</summary>
/// <param name="Entropy">Of the top-k and the tail as one bucket, in nats.</param>
/// <param name="Tail">Probability outside the top-k.</param>
/// <param name="Logprob">Of the token drawn.</param>
/// <param name="IsTop">True where the token drawn is the most probable one.</param>
readonly record struct TokenRow(double Entropy, double Tail, double Logprob, bool IsTop)
{
    public static TokenRow Of(TokenLogprobs logprobs, int token)
    {
        var top = logprobs.TopLogprobs.AsSpan(token * logprobs.K, logprobs.K);
        var (entropy, mass) = (0.0, 0.0);
        foreach (var logprob in top)
        {
            var probability = Math.Exp(logprob);
            mass += probability;
            entropy -= probability > 0 ? probability * logprob : 0;
        }

        var tail = Math.Max(0, 1 - mass);
        entropy -= tail > 0 ? tail * Math.Log(tail) : 0;
        var isTop = logprobs.K == 0 || logprobs.TopIds[token * logprobs.K] == logprobs.TokenIds[token];
        return new TokenRow(entropy, tail, logprobs.Logprobs[token], isTop);
    }
}
