using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Data.Statistics;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>Reliability curves: how often predictions made with some confidence were right.</summary>
static class CalibrationChart
{
    public static Html Draw(string what, IReadOnlyList<(string Name, int Color, ReliabilityCurve Curve)> models)
    {
        using var chart = new Chart(
            Axis.Linear(0, 1, $"confidence in {what}", value => $"{100 * value:0}%"),
            Axis.Linear(0, 1, "share that was right", value => $"{100 * value:0}%"),
            height: 340,
            left: 58
        );
        chart.Reference(0, 0, 1, 1);
        foreach (var (name, color, curve) in models)
        {
            chart.Line([.. curve.Bins.Select(bin => (bin.Confidence, bin.Accuracy))], ChartColor.Series(color), 1.5f);
            var most = curve.Bins.Max(bin => bin.Count);
            foreach (var bin in curve.Bins)
            {
                // The area of a point tells how many predictions stand behind it.
                var size = 3 + 9 * (float)Math.Sqrt((double)bin.Count / most);
                chart.Point(
                    bin.Confidence,
                    bin.Accuracy,
                    ChartColor.Series(color),
                    $"{name}: {Show.Percent(bin.Accuracy)} right of {Show.Count(bin.Count)} at {Show.Percent(bin.Confidence)} confidence",
                    size
                );
            }
        }

        var errors = models.Select(model => $"{model.Name} has an expected calibration error of {model.Curve.Ece:0.000}");
        return chart.Render($"Reliability of {what}: {string.Join(", ", errors)}");
    }
}
