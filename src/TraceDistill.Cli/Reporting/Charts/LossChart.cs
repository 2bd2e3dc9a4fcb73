using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Markup;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>One curve over the steps of a training.</summary>
/// <param name="Name">Of the training, or of the quantity where a chart has several of one training.</param>
/// <param name="Color">Index of its colour.</param>
/// <param name="Lines">Of the training.</param>
/// <param name="Metric">The quantity.</param>
sealed record DrawnMetric(string Name, int Color, IReadOnlyList<MetricsLine> Lines, string Metric);

/// <summary>Quantities over the steps of trainings.</summary>
static class LossChart
{
    const int PointsDrawn = 240;

    /// <param name="title">The quantity in words.</param>
    /// <param name="points">Most points of a curve; where there are more steps, means over equal stretches of them are drawn.</param>
    /// <returns>Empty where no training has the quantity, as a baseline has no term of soft targets.</returns>
    public static Html Draw(string title, IEnumerable<DrawnMetric> metrics, int width = 520, int height = 260, int points = PointsDrawn)
    {
        var curves = metrics
            .Select(metric => (metric.Name, metric.Color, Points: Thin(metric.Lines, metric.Metric, points)))
            .Where(curve => curve.Points.Count > 0)
            .ToList();
        if (curves.Count == 0)
        {
            return Html.Empty;
        }

        var values = curves.SelectMany(curve => curve.Points).Select(point => point.Y).ToList();
        using var chart = new Chart(
            Axis.Linear(0, curves.Max(curve => curve.Points[^1].X), "step"),
            values.Min() > 0 && values.Max() > 5 * values.Min()
                ? Axis.Logarithmic(0.9 * values.Min(), 1.1 * values.Max(), title)
                : Axis.Linear(values.Min(), values.Max(), title),
            width,
            height,
            left: 58
        );
        foreach (var (_, color, curve) in curves)
        {
            chart.Line(curve, ChartColor.Series(color), curves.Count > 4 ? 1 : 1.75f);
        }

        return chart.Render(
            $"{title} over steps, ending at {string.Join(", ", curves.Select(curve => $"{curve.Points[^1].Y:0.000} for {curve.Name}"))}"
        );
    }

    static List<(double X, double Y)> Thin(IReadOnlyList<MetricsLine> lines, string metric, int most)
    {
        var points = lines
            .Where(line => line.Values.TryGetValue(metric, out var value) && double.IsFinite(value))
            .Select(line => (X: (double)line.Step, Y: line.Values[metric]))
            .OrderBy(point => point.X)
            .ToList();
        return points.Count <= most
            ? points
            :
            [
                .. points
                    .Index()
                    .GroupBy(item => (long)item.Index * most / points.Count)
                    .Select(group => (group.Average(item => item.Item.X), group.Average(item => item.Item.Y))),
            ];
    }
}
