using TraceDistill.Data.Statistics;
using Xunit;

namespace TraceDistill.Data.Tests.Statistics;

public sealed class CalibrationTests
{
    [Fact]
    public void Curve_TwoBinsByHand_WeighsGapsByCount()
    {
        var calibration = new Calibration(bins: 2);
        foreach (var (confidence, correct) in new[] { (0.2, false), (0.4, true), (0.9, true), (0.7, true), (0.8, false) })
        {
            calibration.Add(confidence, correct);
        }

        var curve = calibration.Curve()!;
        Assert.Equal(5, curve.Count);
        Assert.Equal(2, curve.Bins.Count);
        Assert.Equal(0.3, curve.Bins[0].Confidence, 1e-12);
        Assert.Equal(0.5, curve.Bins[0].Accuracy, 1e-12);
        Assert.Equal(0.8, curve.Bins[1].Confidence, 1e-12);
        Assert.Equal(2.0 / 3, curve.Bins[1].Accuracy, 1e-12);
        Assert.Equal(0.4 * 0.2 + 0.6 * (0.8 - 2.0 / 3), curve.Ece, 1e-12);
    }

    [Fact]
    public void Curve_EdgesOfTheScale_FallInTheOuterBins()
    {
        var calibration = new Calibration();
        calibration.Add(0, false);
        calibration.Add(1, true);
        calibration.Add(1.0 / 15, false);
        var curve = calibration.Curve()!;
        Assert.Equal([2L, 1L], curve.Bins.Select(bin => bin.Count));
        Assert.Equal(1.0, curve.Bins[^1].High);
    }

    [Fact]
    public void Curve_NothingAdded_IsNull() => Assert.Null(new Calibration().Curve());

    [Theory]
    [InlineData(-0.01)]
    [InlineData(1.01)]
    [InlineData(double.NaN)]
    public void Add_NotAProbability_Throws(double confidence) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Calibration().Add(confidence, true));
}
