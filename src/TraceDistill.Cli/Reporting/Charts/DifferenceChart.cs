using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>One difference to draw.</summary>
/// <param name="Label">Name of the comparison.</param>
/// <param name="Difference">In shares, or in what the scale says.</param>
/// <param name="Interval">Null where a single value says nothing of its spread.</param>
/// <param name="Singles">The differences it is the mean of, drawn beside it; may be empty.</param>
sealed record DrawnDifference(string Label, double Difference, Interval? Interval, IReadOnlyList<double> Singles, ChartColor Color);

/// <summary>Unit of differences.</summary>
/// <param name="Title">Of the axis.</param>
/// <param name="Tick">Label of a value on the axis.</param>
/// <param name="Show">A value with its sign and unit.</param>
sealed record DifferenceScale(string Title, Func<double, string> Tick, Func<double, string> Show)
{
    public static DifferenceScale Points { get; } =
        new(
            "difference in percentage points",
            value => Markup.Show.Signed(100 * value, "0.#"),
            value => $"{Markup.Show.Points(value)} points"
        );

    public static DifferenceScale Nats { get; } =
        new("difference in nats a token", value => Markup.Show.Signed(value, "0.####"), value => $"{Markup.Show.Nats(value)} nats");
}

/// <summary>Differences with their intervals, against no difference.</summary>
static class DifferenceChart
{
    const int RowHeight = 34;
    const int Margins = 58;

    public static Html Draw(string description, IReadOnlyList<DrawnDifference> rows, DifferenceScale scale, int width = 520)
    {
        var values = rows.SelectMany(row =>
                new[] { 0, row.Difference, row.Interval?.Low ?? 0, row.Interval?.High ?? 0 }.Concat(row.Singles)
            )
            .ToList();
        using var chart = new Chart(
            Axis.Linear(values.Min(), values.Max(), scale.Title, scale.Tick, 6),
            Axis.Categories([.. rows.Select(row => row.Label)], downwards: true),
            width,
            Margins + RowHeight * rows.Count,
            left: 24 + 7 * rows.Max(row => row.Label.Length)
        );
        chart.Reference(0, -0.5, 0, rows.Count - 0.5);
        foreach (var (index, row) in rows.Index())
        {
            foreach (var single in row.Singles)
            {
                chart.Point(single, index - 0.28, ChartColor.Ink, $"{row.Label}: {scale.Show(single)} (one pair)", 4);
            }

            if (row.Interval is { } interval)
            {
                chart.Segment(interval.Low, index, interval.High, index, row.Color, 3);
            }

            var bounds = row.Interval is { } ci ? $" ({scale.Show(ci.Low)} to {scale.Show(ci.High)})" : "";
            chart.Point(row.Difference, index, row.Color, $"{row.Label}: {scale.Show(row.Difference)}{bounds}");
        }

        return chart.Render(description);
    }
}
