using ScottPlot;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>
/// A colour that the page decides, so that one drawing serves light and dark. The drawing is made with stand-ins, which
/// <see cref="ChartSvg"/> replaces by the page's CSS variables.
/// </summary>
/// <param name="Variable">The CSS variable.</param>
/// <param name="StandIn">A colour that occurs nowhere else.</param>
/// <param name="IsDashed">True where lines of it are dashed, which the drawing itself cannot say: Skia writes no dashes into SVG.</param>
readonly record struct ChartColor(string Variable, string StandIn, bool IsDashed = false)
{
    const int SeriesCount = 8;

    public static ChartColor Grid { get; } = new("--grid", "#F1F0F1");

    public static ChartColor Ink { get; } = new("--ink-soft", "#F1F0F2");

    /// <summary>Of dashed lines that data are compared with.</summary>
    public static ChartColor Reference { get; } = new("--ink-soft", "#F1F0F3", IsDashed: true);

    public static IEnumerable<ChartColor> All =>
        [Grid, Ink, Reference, .. Enumerable.Range(0, SeriesCount).Select(Series), .. Enumerable.Range(0, SeriesCount).Select(Dashed)];

    /// <summary>The colour of the n-th model, the same in every chart and table.</summary>
    public static ChartColor Series(int index) => new($"--s{index % SeriesCount}", $"#F0F1F{index % SeriesCount:X}");

    /// <summary>The same for a dashed line.</summary>
    public static ChartColor Dashed(int index) => new($"--s{index % SeriesCount}", $"#F0F2F{index % SeriesCount:X}", IsDashed: true);

    public Color ToScottPlot() => Color.FromHex(StandIn);
}
