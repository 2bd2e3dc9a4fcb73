using TraceDistill.Evaluation.Statistics;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Statistics;

public sealed class HolmTests
{
    /// <summary>
    /// Four tests by hand: 4 · 0.005, then 3 · 0.01, then 2 · 0.03, and 1 · 0.04, which may not fall below the one before.
    /// </summary>
    [Fact]
    public void Adjust_FourTests_AreThoseWorkedByHand() => AssertClose([0.03, 0.06, 0.06, 0.02], Holm.Adjust([0.01, 0.04, 0.03, 0.005]));

    /// <summary>Expected: R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm").</summary>
    [Fact]
    public void Adjust_FiveTests_AgreesWithR() => AssertClose([0.05, 0.08, 0.09, 0.09, 0.09], Holm.Adjust([0.01, 0.02, 0.03, 0.04, 0.05]));

    /// <summary>
    /// Holm's procedure is the closed test of Bonferroni's (Marcus, Peritz and Gabriel, Biometrika 63 (1976)): a hypothesis' p value is the
    /// largest, over all sets of hypotheses that it is in, of the set's size times its smallest p value.
    /// </summary>
    [Fact]
    public void Adjust_RandomTests_IsTheClosedTestOverAllSubsets()
    {
        var random = new Random(5);
        for (var round = 0; round < 50; round++)
        {
            // Cubed, so that some are small; in every fifth round one stands twice.
            double[] drawn = [.. Enumerable.Range(0, 2 + round % 8).Select(_ => Math.Pow(random.NextDouble(), 3))];
            double[] p = round % 5 == 0 ? [.. drawn, drawn[0]] : drawn;
            AssertClose([.. Enumerable.Range(0, p.Length).Select(index => Closed(p, index))], Holm.Adjust(p));
        }
    }

    [Fact]
    public void Adjust_NoTests_IsEmpty() => Assert.Empty(Holm.Adjust([]));

    static double Closed(double[] p, int index) =>
        Enumerable
            .Range(1, (1 << p.Length) - 1)
            .Where(set => (set >> index & 1) == 1)
            .Max(set =>
            {
                double[] inside = [.. p.Where((_, other) => (set >> other & 1) == 1)];
                return Math.Min(1, inside.Length * inside.Min());
            });

    static void AssertClose(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-14));
    }
}
