using System.Globalization;
using System.Text;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Cli.Reporting.Sections;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Reporting;

/// <summary>A comparison of methods as files to publish: a table for people, one for programs, and a drawing.</summary>
static class MethodFiles
{
    public const string MarkdownName = "methods.md";
    public const string CsvName = "methods.csv";
    public const string DrawingName = "methods.svg";

    public static IReadOnlyList<string> Names { get; } = [MarkdownName, CsvName, DrawingName];

    public static void Write(MethodComparison comparison, string folder)
    {
        AtomicFile.WriteAllText(Path.Combine(folder, MarkdownName), Markdown(comparison));
        AtomicFile.WriteAllText(Path.Combine(folder, CsvName), Csv(comparison));
        AtomicFile.WriteAllText(Path.Combine(folder, DrawingName), Drawing(comparison));
    }

    static string Markdown(MethodComparison comparison)
    {
        var text = new StringBuilder();
        text.Append(MethodWords.Explanation(comparison)).Append("\n\n");
        Table(
            comparison.Methods,
            measure => measure.Title,
            (method, measure) =>
                $"{MethodWords.Figure(measure, method.Figures[measure].Mean)} "
                + $"({MethodWords.Bounds(measure, method.Figures[measure].Interval)})"
        );
        foreach (var baseline in comparison.Baselines)
        {
            text.Append($"\n## Difference from {baseline}\n\n");
            foreach (var finding in MethodWords.Findings(comparison, baseline, isBrief: false))
            {
                text.Append("- ").Append(finding).Append('\n');
            }

            text.Append('\n');
            Table(
                comparison.Methods.Where(method => method.Name != baseline),
                measure => $"{measure.Title}, p (Holm)",
                (method, measure) => Cell(method.Against(baseline, measure))
            );
        }

        return text.ToString();

        void Table(IEnumerable<Method> methods, Func<MethodMeasure, string> title, Func<Method, MethodMeasure, string> cell)
        {
            text.Append($"| method | {string.Join(" | ", comparison.Measures.Select(title))} |\n");
            text.Append($"| {string.Join(" | ", Enumerable.Repeat("---", 1 + comparison.Measures.Count))} |\n");
            foreach (var method in methods)
            {
                text.Append($"| {method.Name} | {string.Join(" | ", comparison.Measures.Select(measure => cell(method, measure)))} |\n");
            }
        }
    }

    static string Cell(MethodDifference? found)
    {
        if (found is null)
        {
            return Show.Nothing;
        }

        var value = MethodWords.Difference(found.Measure, found.Difference.Mean);
        var p = found.HolmP is { } known ? $", {Show.PEquals(known)}" : "";
        return $"{(found.Verdict == MethodVerdict.Undecided ? value : $"**{value}**")} "
            + $"({MethodWords.DifferenceBounds(found.Measure, found.Difference.Interval)}){p}";
    }

    /// <summary>A row for each method, figure and baseline, and one with an empty baseline for the figure itself.</summary>
    static string Csv(MethodComparison comparison)
    {
        var text = new StringBuilder("method,measure,baseline,mean,low,high,seeds,p_t,p_holm,p_sign_flip,verdict\n");
        foreach (var method in comparison.Methods)
        {
            foreach (var measure in comparison.Measures)
            {
                Row(method, measure, "", method.Figures[measure], null, null, null, "");
                foreach (var found in method.Differences.Where(found => found.Measure == measure))
                {
                    var verdict = found.HolmP is null ? "" : MethodWords.Verdict(found.Verdict);
                    Row(method, measure, found.Baseline, found.Difference, found.Difference.PValue, found.HolmP, found.SignFlipP, verdict);
                }
            }
        }

        return text.ToString();

        void Row(
            Method method,
            MethodMeasure measure,
            string baseline,
            MeanOverSeeds mean,
            double? p,
            double? holm,
            double? signFlip,
            string verdict
        ) =>
            text.Append(
                $"{method.Name},{measure.Key},{baseline},{Number(mean.Mean)},{Number(mean.Interval?.Low)},{Number(mean.Interval?.High)},"
                    + $"{mean.Count},{Number(p)},{Number(holm)},{Number(signFlip)},{verdict}\n"
            );

        static string Number(double? value) => value?.ToString("0.########E+0", CultureInfo.InvariantCulture) ?? "";
    }

    /// <summary>The page's drawings of the first baseline side by side, with the colours and the type that the page gives them.</summary>
    static string Drawing(MethodComparison comparison)
    {
        const int Width = 520;
        var baseline = comparison.Baselines[0];
        var drawings = comparison.Measures.Select(measure => MethodsSection.Draw(comparison, baseline, measure)).ToList();
        var heights = drawings.Select(HeightOf).ToList();
        const int Title = 30;
        var (width, height) = (Width * drawings.Count, heights.Max() + Title);
        var text = new StringBuilder();
        text.Append(
            $"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
            <style>{ReportPage.Asset("colors.css")}
            text {"{"} fill: var(--ink-soft); font: 12px var(--sans); {"}"} .tick, .title {"{"} fill: var(--ink); {"}"}
            .title {"{"} font-size: 14px; {"}"} .hover {"{"} fill: transparent; {"}"}</style>
            <rect width="{width}" height="{height}" fill="var(--paper)"/>

            """
        );
        foreach (var (index, drawing) in drawings.Index())
        {
            var title = Html.Of($"{comparison.Measures[index].Title}, difference from {baseline} with 95% intervals");
            text.Append(
                $"""
                <text class="title" x="{(index * Width) + 12}" y="20">{title}</text>
                <svg x="{index * Width}" y="{Title}" width="{Width}" height="{heights[index]}">{drawing}</svg>

                """
            );
        }

        return text.Append("</svg>\n").ToString();
    }

    /// <summary>Of a drawing's view box, which is where <see cref="Charts.ChartSvg"/> keeps its size.</summary>
    static int HeightOf(Html drawing) =>
        (int)
            double.Parse(
                System.Xml.Linq.XElement.Parse(drawing.ToString()).Attribute("viewBox")!.Value.Split(' ')[3],
                CultureInfo.InvariantCulture
            );
}
