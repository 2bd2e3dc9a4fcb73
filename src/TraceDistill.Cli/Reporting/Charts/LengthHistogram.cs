using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>Histogram of the lengths of traces.</summary>
static class LengthHistogram
{
    const int Bins = 40;

    public static Html Draw(TraceFacts traces, int color)
    {
        var axis = Axis.Linear(0, traces.Lengths.Max(length => length.Tokens), "tokens in a trace", intervals: 6);
        var width = Math.Max(1, Math.Ceiling(axis.High / Bins));
        var counts = traces.Lengths.CountBy(length => (int)(length.Tokens / width)).OrderBy(bin => bin.Key).ToList();
        using var chart = new Chart(axis, Axis.Counts(counts.Max(bin => bin.Value), "traces"), height: 260, left: 58);
        foreach (var (bin, count) in counts)
        {
            var (from, to) = (bin * width, (bin + 1) * width);
            chart.Bar(
                from + 0.06 * width,
                Math.Min(to - 0.06 * width, axis.High),
                count,
                ChartColor.Series(color),
                $"{from:0}–{to - 1:0} tokens: {Show.Count(count)} traces"
            );
        }

        return chart.Render($"Lengths of {Show.Count(traces.Count)} traces");
    }
}
