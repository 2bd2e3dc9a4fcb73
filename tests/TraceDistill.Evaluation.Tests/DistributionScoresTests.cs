using TraceDistill.Data.Contracts;
using TraceDistill.Data.Traces;
using Xunit;

namespace TraceDistill.Evaluation.Tests;

public sealed class DistributionScoresTests
{
    [Fact]
    public void Measure_TracesOfDifferentLength_AveragesOverTokens()
    {
        var scores = DistributionScores.Measure(
            new ScriptedScorer(
                [new TokenScore(0.1, Math.Log(0.5), 0.5, true), new TokenScore(0.3, Math.Log(0.25), 0.5, false)],
                [],
                [new TokenScore(0.8, Math.Log(0.9), 1.0000001, true)]
            ),
            [],
            seed: 1,
            TestContext.Current.CancellationToken
        )!;

        Assert.Equal(0.4, scores.Kl, 1e-12);
        Assert.Equal((2, 1), (scores.Traces, scores.Skipped));
        Assert.Equal(3, scores.Tokens);
        Assert.Equal(-(Math.Log(0.5) + Math.Log(0.25) + Math.Log(0.9)) / 3, scores.CrossEntropy, 1e-12);
        Assert.Equal(2.0 / 3, scores.TopAgreement, 1e-12);
        Assert.Equal(0, scores.TokenCalibration.Ece, 1e-12);
        Assert.InRange(scores.KlCi.Low, 0.2, 0.4);
        Assert.InRange(scores.KlCi.High, 0.4, 0.8);
    }

    [Fact]
    public void Measure_NoTokens_IsNull() =>
        Assert.Null(DistributionScores.Measure(new ScriptedScorer(), [], seed: 1, TestContext.Current.CancellationToken));

    sealed class ScriptedScorer(params TokenScore[][] scores) : ITraceScorer
    {
        public IEnumerable<TokenScore[]> Score(IEnumerable<Trace> traces, CancellationToken cancellationToken = default) => scores;
    }
}
