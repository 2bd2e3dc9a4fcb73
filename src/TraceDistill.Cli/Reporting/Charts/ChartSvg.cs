using System.Xml.Linq;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>Makes a drawing of ScottPlot fit for standing in a page: it takes the page's colours and scales with it.</summary>
static class ChartSvg
{
    static readonly Dictionary<string, ChartColor> Colors = ChartColor.All.ToDictionary(
        color => color.StandIn,
        StringComparer.OrdinalIgnoreCase
    );

    /// <param name="svg">Drawing by ScottPlot.</param>
    /// <param name="description">Description of the drawing for those who do not see it.</param>
    public static XElement Adopt(string svg, string description)
    {
        var root = XDocument.Parse(svg).Root!;
        var (width, height) = (root.Attribute("width")!.Value, root.Attribute("height")!.Value);
        root.RemoveAttributes();
        root.Add(
            new XAttribute("viewBox", $"0 0 {width} {height}"),
            new XAttribute("role", "img"),
            new XAttribute("aria-label", description)
        );

        // All data lie within their axes; clipping would only cut points at the very edge in half.
        root.Descendants().Where(element => element.Name.LocalName == "clipPath").Remove();
        root.Descendants().Attributes("clip-path").Remove();
        foreach (var element in root.DescendantsAndSelf())
        {
            // HTML has no namespaces to declare: inside a page, svg is known by its name.
            element.Name = element.Name.LocalName;
            foreach (var attribute in element.Attributes().ToList())
            {
                if (Colors.TryGetValue(attribute.Value, out var color))
                {
                    attribute.Remove();
                    var dashes = color.IsDashed ? "stroke-dasharray:4 4;" : "";
                    element.SetAttributeValue(
                        "style",
                        $"{element.Attribute("style")?.Value}{attribute.Name}:var({color.Variable});{dashes}"
                    );
                }
            }
        }

        return root;
    }
}
