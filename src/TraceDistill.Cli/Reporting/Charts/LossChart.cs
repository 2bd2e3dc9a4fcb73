using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Markup;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>One quantity over the steps of several trainings.</summary>
static class LossChart
{
    const int PointsDrawn = 240;

    /// <param name="title">The metric's name in words.</param>
    public static Html Draw(
        string metric,
        string title,
        IReadOnlyList<(string Name, int Color, IReadOnlyList<MetricsLine> Lines)> trainings
    )
    {
        var curves = trainings
            .Select(training => (training.Name, training.Color, Points: Thin(training.Lines, metric)))
            .Where(curve => curve.Points.Count > 0) // A baseline has no term of soft targets.
            .ToList();
        var values = curves.SelectMany(curve => curve.Points).Select(point => point.Y).ToList();
        using var chart = new Chart(
            Axis.Linear(0, curves.Max(curve => curve.Points[^1].X), "step"),
            values.Min() > 0 && values.Max() > 5 * values.Min()
                ? Axis.Logarithmic(0.9 * values.Min(), 1.1 * values.Max(), title)
                : Axis.Linear(values.Min(), values.Max(), title),
            height: 260,
            left: 58
        );
        foreach (var (_, color, points) in curves)
        {
            chart.Line(points, ChartColor.Series(color), curves.Count > 4 ? 1 : 1.75f);
        }

        return chart.Render(
            $"{title} over steps, ending at {string.Join(", ", curves.Select(curve => $"{curve.Points[^1].Y:0.000} for {curve.Name}"))}"
        );
    }

    /// <summary>Means over equal stretches of steps where there are more points than pixels.</summary>
    static List<(double X, double Y)> Thin(IReadOnlyList<MetricsLine> lines, string metric)
    {
        var points = lines
            .Where(line => line.Values.TryGetValue(metric, out var value) && double.IsFinite(value))
            .Select(line => (X: (double)line.Step, Y: line.Values[metric]))
            .OrderBy(point => point.X)
            .ToList();
        return points.Count <= PointsDrawn
            ? points
            :
            [
                .. points
                    .Index()
                    .GroupBy(item => (long)item.Index * PointsDrawn / points.Count)
                    .Select(group => (group.Average(item => item.Item.X), group.Average(item => item.Item.Y))),
            ];
    }
}
