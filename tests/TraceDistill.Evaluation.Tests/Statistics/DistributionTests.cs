using TraceDistill.Evaluation.Statistics;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Statistics;

/// <summary>Expected values are SciPy 1.10's.</summary>
public sealed class DistributionTests
{
    [Theory]
    [InlineData(-6, 9.865876450376946e-10)]
    [InlineData(-3.2, 0.0006871379379158471)]
    [InlineData(-1, 0.15865525393145707)]
    [InlineData(0, 0.5)]
    [InlineData(0.3, 0.6179114221889526)]
    [InlineData(1.96, 0.9750021048517795)]
    [InlineData(4, 0.9999683287581669)]
    [InlineData(40, 1)]
    public void NormalCdf_KnownPoints_AgreesWithSciPy(double x, double expected) =>
        Assert.Equal(expected, NormalDistribution.Cdf(x), 1e-15);

    [Theory]
    [InlineData(0.001, -3.090232306167813)]
    [InlineData(0.025, -1.9599639845400545)]
    [InlineData(0.3, -0.5244005127080409)]
    [InlineData(0.5, 0)]
    [InlineData(0.975, 1.959963984540054)]
    public void NormalQuantile_KnownPoints_AgreesWithSciPy(double p, double expected) =>
        Assert.Equal(expected, NormalDistribution.Quantile(p), 1e-12);

    [Theory]
    [InlineData(2.0, 2, 0.1835034190722739)]
    [InlineData(4.5, 8, 0.002002092275518598)]
    [InlineData(0.1, 30, 0.9210096117902711)]
    [InlineData(12.7, 1, 0.05002432768934415)]
    public void StudentT_TwoSidedPValue_AgreesWithSciPy(double t, double degrees, double expected) =>
        Assert.Equal(expected, StudentT.TwoSidedPValue(t, degrees), 1e-13);

    [Theory]
    [InlineData(0.95, 1, 12.706204736432095)]
    [InlineData(0.95, 2, 4.302652729911275)]
    [InlineData(0.95, 8, 2.3060041350333704)]
    [InlineData(0.99, 4, 4.604094871415897)]
    public void StudentT_TwoSidedQuantile_AgreesWithSciPy(double confidence, double degrees, double expected) =>
        Assert.Equal(expected, StudentT.TwoSidedQuantile(confidence, degrees), 1e-9);

    [Theory]
    [InlineData(0.5, 0.5723649429247)]
    [InlineData(1, 0)]
    [InlineData(3.7, 1.428072326665388)]
    [InlineData(14.99, 25.164481163825506)]
    [InlineData(1000, 5905.220423209181)]
    public void LogGamma_KnownPoints_AgreesWithSciPy(double x, double expected) =>
        Assert.Equal(expected, IncompleteBeta.LogGamma(x), 1e-11);

    [Theory]
    [InlineData(0.5, 120, 41, 8.762250094256716e-11)]
    [InlineData(0.1, 0.5, 0.5, 0.2048327646991335)]
    [InlineData(0.9, 3, 7, 0.999997002)]
    [InlineData(0.5, 1101, 900, 3.428083580011446e-06)]
    [InlineData(0, 2, 3, 0)]
    [InlineData(1, 2, 3, 1)]
    public void IncompleteBeta_KnownPoints_AgreesWithSciPy(double x, double a, double b, double expected) =>
        Assert.Equal(expected, IncompleteBeta.Regularized(x, a, b), 1e-10 * Math.Max(expected, 1e-6));
}
