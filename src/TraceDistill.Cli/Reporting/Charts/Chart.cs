using System.Xml.Linq;
using ScottPlot;
using TraceDistill.Cli.Reporting.Markup;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>
/// A chart as inline SVG. ScottPlot draws the data, the grid and the axes; the words are ordinary text of the page, so that a chart is the
/// same on a machine without fonts, can be read aloud and searched, and follows the page's typeface and colours.
/// </summary>
sealed class Chart : IDisposable
{
    readonly Plot _plot = new();
    readonly List<XElement> _labels = [];
    readonly (Axis X, Axis Y) _axes;
    readonly PixelPadding _padding;
    readonly int _width;
    readonly int _height;

    /// <param name="left">Room for the labels of the vertical axis, in pixels.</param>
    public Chart(Axis x, Axis y, int width = 520, int height = 300, int left = 52)
    {
        (_axes, _width, _height) = ((x, y), width, height);
        _padding = new PixelPadding(left, 24, 44, 14);
        _plot.Layout.Fixed(_padding);
        _plot.Axes.SetLimits(x.Low, x.High, y.Low, y.High);
        _plot.FigureBackground.Color = Colors.Transparent;
        _plot.DataBackground.Color = Colors.Transparent;
        _plot.Grid.MajorLineColor = ChartColor.Grid.ToScottPlot();
        _plot.Grid.YAxisStyle.IsVisible = !y.IsCategories;
        _plot.Axes.Bottom.SetTicks([.. x.Ticks.Select(tick => tick.Position)], [.. x.Ticks.Select(_ => "")]);
        _plot.Axes.Left.SetTicks([.. y.Ticks.Select(tick => tick.Position)], [.. y.Ticks.Select(_ => "")]);
        foreach (var axis in new IAxis[] { _plot.Axes.Bottom, _plot.Axes.Left, _plot.Axes.Right, _plot.Axes.Top })
        {
            axis.FrameLineStyle.IsVisible = axis == _plot.Axes.Bottom;
            axis.FrameLineStyle.Color = ChartColor.Ink.ToScottPlot();
            axis.MajorTickStyle.Length = 0;
            axis.MinorTickStyle.Length = 0;
        }

        WriteAxes();
    }

    /// <summary>A line through points, in order.</summary>
    public void Line(IReadOnlyCollection<(double X, double Y)> points, ChartColor color, float width = 2)
    {
        var line = _plot.Add.ScatterLine(
            points.Select(point => point.X).ToArray(),
            points.Select(point => _axes.Y.Place(point.Y)).ToArray()
        );
        (line.Color, line.LineWidth) = (color.ToScottPlot(), width);
    }

    /// <summary>A dashed line to compare with, such as perfect calibration or no difference.</summary>
    public void Reference(double fromX, double fromY, double toX, double toY)
    {
        var line = _plot.Add.Line(fromX, fromY, toX, toY);
        (line.Color, line.LineWidth) = (ChartColor.Reference.ToScottPlot(), 1);
    }

    /// <summary>A point that tells more when the pointer rests on it.</summary>
    public void Point(double x, double y, ChartColor color, string hover, float size = 9)
    {
        _plot.Add.Marker(x, y, MarkerShape.FilledCircle, size, color.ToScottPlot());
        var (left, top) = Pixel(x, y);
        _labels.Add(
            new XElement(
                "circle",
                new XAttribute("cx", Round(left)),
                new XAttribute("cy", Round(top)),
                new XAttribute("r", 9),
                new XAttribute("class", "hover"),
                new XElement("title", hover)
            )
        );
    }

    /// <summary>A straight piece, such as a confidence interval.</summary>
    public void Segment(double fromX, double fromY, double toX, double toY, ChartColor color, float width = 2)
    {
        var line = _plot.Add.Line(fromX, fromY, toX, toY);
        (line.Color, line.LineWidth) = (color.ToScottPlot(), width);
    }

    /// <summary>An upright bar from zero.</summary>
    public void Bar(double from, double to, double height, ChartColor color, string hover)
    {
        var bar = _plot.Add.Rectangle(from, to, 0, height);
        (bar.FillColor, bar.LineWidth) = (color.ToScottPlot(), 0);
        var ((left, top), (right, bottom)) = (Pixel(from, height), Pixel(to, 0));
        _labels.Add(
            new XElement(
                "rect",
                new XAttribute("x", Round(left)),
                new XAttribute("y", Round(top)),
                new XAttribute("width", Round(right - left)),
                new XAttribute("height", Round(bottom - top)),
                new XAttribute("class", "hover"),
                new XElement("title", hover)
            )
        );
    }

    /// <param name="description">Description of the chart for those who do not see it.</param>
    public Html Render(string description)
    {
        var svg = ChartSvg.Adopt(_plot.GetSvgXml(_width, _height), description);
        svg.Add(_labels);
        return Html.Trusted(svg.ToString(SaveOptions.DisableFormatting));
    }

    public void Dispose() => _plot.Dispose();

    void WriteAxes()
    {
        foreach (var (position, label) in _axes.X.Ticks)
        {
            Text(Pixel(position, 0).X, _height - _padding.Bottom + 17, "middle", "tick", label);
        }

        foreach (var (position, label) in _axes.Y.Ticks)
        {
            Text(_padding.Left - 8, Pixel(0, position).Y + 4, "end", "tick", label);
        }

        Text(_padding.Left + (_width - _padding.Left - _padding.Right) / 2, _height - 6, "middle", "axis", _axes.X.Title);
        if (_axes.Y.Title.Length > 0)
        {
            var middle = _padding.Top + (_height - _padding.Top - _padding.Bottom) / 2;
            Text(13, middle, "middle", "axis", _axes.Y.Title).SetAttributeValue("transform", $"rotate(-90 13 {Round(middle)})");
        }
    }

    XElement Text(double x, double y, string anchor, string kind, string text)
    {
        var element = new XElement(
            "text",
            new XAttribute("x", Round(x)),
            new XAttribute("y", Round(y)),
            new XAttribute("text-anchor", anchor),
            new XAttribute("class", kind),
            text
        );
        _labels.Add(element);
        return element;
    }

    (double X, double Y) Pixel(double x, double y) =>
        (_axes.X.Pixel(x, _padding.Left, _width - _padding.Right), _axes.Y.Pixel(y, _height - _padding.Bottom, _padding.Top));

    static double Round(double pixel) => Math.Round(pixel, 1);
}
