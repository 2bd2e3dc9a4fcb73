using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Evaluation.Statistics;
using Xunit;

namespace TraceDistill.Cli.Tests.Reporting;

public sealed class MarkupTests
{
    [Fact]
    public void Html_TextInHoles_IsEscapedAndMarkupIsNot()
    {
        var inner = Html.Of($"<b>{"<i> & \"it\"'s"}</b>");
        Assert.Equal(
            "<p title=\"&lt;i&gt; &amp; &quot;it&quot;&#39;s\"><b>&lt;i&gt; &amp; &quot;it&quot;&#39;s</b></p>",
            Html.Of($"<p title=\"{"<i> & \"it\"'s"}\">{inner}</p>").ToString()
        );
    }

    [Fact]
    public void Html_SequenceOfMarkup_IsJoined() =>
        Assert.Equal("<i>1</i><i>2</i>", Html.Of($"{new[] { 1, 2 }.Select(n => Html.Of($"<i>{n}</i>"))}").ToString());

    [Theory]
    [InlineData(0.041, "+4.1")]
    [InlineData(-0.003, "−0.3")]
    [InlineData(-0.0001, "0.0")]
    public void Points_Difference_HasItsSign(double difference, string expected) => Assert.Equal(expected, Show.Points(difference));

    [Theory]
    [InlineData(0.96, "1.0 s")]
    [InlineData(9.97, "10 s")]
    [InlineData(75.3, "1 min 15 s")]
    [InlineData(420, "7 min")]
    [InlineData(3599.8, "1 h")]
    [InlineData(7500, "2 h 5 min")]
    public void Duration_Seconds_AreWrittenForPeople(double seconds, string expected) => Assert.Equal(expected, Show.Duration(seconds));

    [Theory]
    [InlineData(0.00000001, "< 0.0001")]
    [InlineData(0.0073, "0.0073")]
    [InlineData(0.5, "0.50")]
    public void PValue_Small_IsNeverZero(double p, string expected) => Assert.Equal(expected, Show.PValue(p));

    [Fact]
    public void Percent_Interval_HasBothEnds() => Assert.Equal("90.7–95.2%", Show.Percent(new Interval(0.9074, 0.9521)));

    [Theory]
    [InlineData(0.00000001, "p < 0.0001")]
    [InlineData(0.0073, "p = 0.0073")]
    public void PEquals_InASentence_IsABoundOrAValue(double p, string expected) => Assert.Equal(expected, Show.PEquals(p));

    [Theory]
    [InlineData(1, new[] { "0", "1" })]
    [InlineData(6, new[] { "0", "1", "2", "3", "4", "5", "6" })]
    [InlineData(12, new[] { "0", "2", "4", "6", "8", "10", "12" })]
    [InlineData(1170, new[] { "0", "250", "500", "750", "1,000", "1,250" })]
    public void Axis_Counts_HasWholeTicks(int high, string[] expected) =>
        Assert.Equal(expected, Axis.Counts(high, "").Ticks.Select(tick => tick.Label));

    [Theory]
    [InlineData(0, 1500, new[] { 0.0, 250, 500, 750, 1000, 1250, 1500 })]
    [InlineData(0.63, 1, new[] { 0.6, 0.7, 0.8, 0.9, 1.0 })]
    [InlineData(-0.013, 0.094, new[] { -0.02, 0, 0.02, 0.04, 0.06, 0.08, 0.1 })]
    public void Axis_AnyRange_GetsRoundTicksThatCoverIt(double low, double high, double[] expected)
    {
        var axis = Axis.Linear(low, high, "");
        Assert.Equal(expected.Length, axis.Ticks.Count);
        Assert.All(expected.Zip(axis.Ticks), pair => Assert.Equal(pair.First, pair.Second.Position, 1e-12));
        Assert.True(axis.Low <= low && axis.High >= high);
    }

    [Fact]
    public void Axis_Logarithmic_PlacesTicksAtTheirLogarithms()
    {
        var axis = Axis.Logarithmic(0.15, 6, "");
        Assert.Equal(["0.2", "0.5", "1", "2", "5"], axis.Ticks.Select(tick => tick.Label));
        Assert.Equal(Math.Log10(0.2), axis.Ticks[0].Position, 1e-12);
    }

    [Fact]
    public void Chart_Drawn_TakesThePagesColoursAndKeepsWordsAsText()
    {
        using var chart = new Chart(Axis.Linear(0, 10, "step"), Axis.Linear(0, 1, "loss"));
        chart.Line([(0, 0.1), (10, 0.9)], ChartColor.Series(1));
        chart.Reference(0, 0, 10, 1);
        var svg = chart.Render("A line").ToString();
        Assert.Contains("stroke:var(--s1)", svg, StringComparison.Ordinal);
        Assert.Contains("stroke-dasharray", svg, StringComparison.Ordinal);
        Assert.Contains(">loss</text>", svg, StringComparison.Ordinal);
        Assert.DoesNotContain("font-family", svg, StringComparison.Ordinal);
        Assert.DoesNotContain("#F", svg, StringComparison.OrdinalIgnoreCase);
    }
}
