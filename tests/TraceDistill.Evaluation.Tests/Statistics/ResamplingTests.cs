using TraceDistill.Evaluation.Statistics;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Statistics;

public sealed class ResamplingTests
{
    static readonly double[] Skewed = [0.8, 1.2, -0.3, 2.9, 0.0, 0.4, 5.1, -0.9, 0.7, 1.6, 0.2, 3.3];

    /// <summary>Expected: scipy.stats.bootstrap(method="BCa", n_resamples=400000).</summary>
    [Fact]
    public void Bootstrap_SkewedMean_AgreesWithSciPysBca()
    {
        var interval = Bootstrap.OfMean(Skewed, seed: 1, resamples: 200_000);
        Assert.Equal(0.475, interval.Low, 0.01);
        Assert.Equal(2.408, interval.High, 0.02);
    }

    /// <summary>Expected: scipy.stats.bootstrap over pairs with the ratio of sums as statistic.</summary>
    [Fact]
    public void Bootstrap_RatioOfSums_AgreesWithSciPysBca()
    {
        var interval = Bootstrap.OfRatio(
            [1.2, 3.4, 0.2, 5.5, 2.2, 9.1, 0.7, 4.4],
            [10, 22, 4, 31, 25, 40, 9, 18],
            seed: 1,
            resamples: 200_000
        );
        Assert.Equal(0.1203, interval.Low, 0.002);
        Assert.Equal(0.2096, interval.High, 0.002);
    }

    [Fact]
    public void Bootstrap_SameSeed_GivesTheSameBits() => Assert.Equal(Bootstrap.OfMean(Skewed, seed: 7), Bootstrap.OfMean(Skewed, seed: 7));

    [Fact]
    public void Bootstrap_AllValuesEqual_IsAPoint() =>
        Assert.Equal(new Interval(2, 2), Bootstrap.OfMean([2, 2, 2], seed: 7, resamples: 100));

    [Fact]
    public void Bootstrap_OneValue_IsAPoint() => Assert.Equal(new Interval(3, 3), Bootstrap.OfMean([3], seed: 7, resamples: 100));

    [Fact]
    public void Bootstrap_NothingToResample_Throws() => Assert.Throws<ArgumentException>(() => Bootstrap.OfMean([], seed: 7));

    /// <summary>Expected: scipy.stats.ttest_1samp and its confidence_interval.</summary>
    [Fact]
    public void MeanOverSeeds_FiveDifferences_AgreesWithSciPysTTest()
    {
        var summary = MeanOverSeeds.Of([0.031, 0.055, 0.012, 0.04, -0.006]);
        Assert.Equal(0.0264, summary.Mean, 1e-12);
        Assert.Equal(0.06880362587544375, summary.PValue!.Value, 1e-10);
        Assert.Equal(-0.003252121761747301, summary.Interval!.Value.Low, 1e-10);
        Assert.Equal(0.056052121761747294, summary.Interval!.Value.High, 1e-10);
    }

    /// <summary>
    /// Hours of sleep gained with one drug over another by ten patients (“Student”, Biometrika 6 (1908)); expected: R's
    /// t.test(extra ~ group, data = sleep, paired = TRUE), which reports t = 4.0621 and these.
    /// </summary>
    [Fact]
    public void MeanOverSeeds_StudentsSleepData_IsThePublishedPairedTTest()
    {
        double[] first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        double[] second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        var summary = MeanOverSeeds.Of([.. second.Zip(first, (b, a) => b - a)]);
        Assert.Equal(1.58, summary.Mean, 1e-12);
        Assert.Equal(0.002833, summary.PValue!.Value, 5e-7);
        Assert.Equal(0.7001142, summary.Interval!.Value.Low, 5e-8);
        Assert.Equal(2.4598858, summary.Interval!.Value.High, 5e-8);
    }

    [Fact]
    public void MeanOverSeeds_OneValue_ClaimsNoInterval() => Assert.Equal(new MeanOverSeeds(0.5, null, null, 1), MeanOverSeeds.Of([0.5]));

    /// <summary>Expected: scipy.stats.permutation_test(permutation_type="samples") over all sign patterns.</summary>
    [Fact]
    public void SignFlip_FiveDifferences_AgreesWithSciPy() =>
        Assert.Equal(0.125, SignFlipTest.PValue([0.031, 0.055, 0.012, 0.04, -0.006]), 1e-12);

    [Fact]
    public void SignFlip_ThreeOfOneSign_IsAQuarter() => Assert.Equal(0.25, SignFlipTest.PValue([0.1, 0.3, 0.2]), 1e-12);

    [Fact]
    public void SignFlip_ManyEqualDifferences_SamplesTheBinomialTail()
    {
        // 40 differences of one size, 28 of them positive: the two-sided binomial tail P(|X − 20| ≥ 8), X ~ Binomial(40, ½).
        double[] differences = [.. Enumerable.Repeat(1.0, 28), .. Enumerable.Repeat(-1.0, 12)];
        Assert.Equal(0.01659, SignFlipTest.PValue(differences, seed: 3), 0.0015);
    }
}
