using TraceDistill.Data.Contracts;
using TraceDistill.Data.Statistics;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Evaluation;

/// <summary>A model's next-token distributions against the teacher's on held-out traces.</summary>
public sealed record DistributionScores
{
    /// <summary>Mean KL(teacher ‖ model) a token, in nats.</summary>
    public required double Kl { get; init; }

    /// <summary>Its 95 % bootstrap interval, over traces.</summary>
    public required Interval KlCi { get; init; }

    /// <summary>Mean of −ln p of the tokens the teacher drew, in nats: the hard loss.</summary>
    public required double CrossEntropy { get; init; }

    /// <summary>Share of tokens at which the model's most probable token is the one drawn.</summary>
    public required double TopAgreement { get; init; }

    /// <summary>Traces that were compared.</summary>
    public required int Traces { get; init; }

    /// <summary>Traces that could not be: without soft targets or prompt ids, or longer than the model's positions.</summary>
    public int Skipped { get; init; }

    public required long Tokens { get; init; }

    /// <summary>Of the model's most probable token: its probability against how often it is the one drawn.</summary>
    public required ReliabilityCurve TokenCalibration { get; init; }

    /// <summary>Scores the traces and sums up; null where there is no token to score.</summary>
    public static DistributionScores? Measure(
        ITraceScorer scorer,
        IEnumerable<Trace> traces,
        long seed,
        CancellationToken cancellationToken = default
    )
    {
        var (divergences, lengths) = (new List<double>(), new List<double>());
        var (crossEntropy, agreements) = (0.0, 0L);
        var (calibration, skipped) = (new Calibration(), 0);
        foreach (var tokens in scorer.Score(traces, cancellationToken))
        {
            if (tokens.Length == 0)
            {
                skipped++;
                continue;
            }

            divergences.Add(tokens.Sum(token => token.Kl));
            lengths.Add(tokens.Length);
            foreach (var token in tokens)
            {
                crossEntropy -= token.SampledLogprob;
                agreements += token.TopIsSampled ? 1 : 0;

                // A probability computed in float32 may end a rounding error past one.
                calibration.Add(Math.Min(1, token.TopProbability), token.TopIsSampled);
            }
        }

        if (calibration.Curve() is not { } curve)
        {
            return null;
        }

        return new DistributionScores
        {
            Kl = divergences.Sum() / curve.Count,
            KlCi = Bootstrap.OfRatio([.. divergences], [.. lengths], seed),
            CrossEntropy = crossEntropy / curve.Count,
            TopAgreement = (double)agreements / curve.Count,
            Traces = lengths.Count,
            Skipped = skipped,
            Tokens = curve.Count,
            TokenCalibration = curve,
        };
    }
}
