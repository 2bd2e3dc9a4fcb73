using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Several ways of training over the same seeds, a row each, against the baselines among them.</summary>
static class MethodsSection
{
    /// <summary>The page's green and orange: with dozens of methods a colour for each would say nothing.</summary>
    const int HelpedColor = 4,
        HarmedColor = 2;

    public static Section? Of(RunFacts run) =>
        run.Methods is not { } comparison
            ? null
            : new Section(
                "methods",
                "Methods",
                Html.Of(
                    $"""
                    <p>{MethodWords.Explanation(comparison)}</p>
                    {Table(comparison)}
                    {comparison.Baselines.Select(baseline =>
                        Html.Of(
                            $"""
                            <h3>Difference from {baseline}</h3>
                            {MethodWords.Findings(comparison, baseline, isBrief: false).Select(finding => Html.Of($"<p>{finding}</p>"))}
                            {Table(comparison, baseline)}
                            <div class="pair">{comparison.Measures.Select(measure =>
                                Section.Figure(Draw(comparison, baseline, measure), Caption(measure))
                            )}</div>
                            """
                        )
                    )}
                    """
                )
            );

    /// <summary>Differences of all methods from a baseline, the best method first.</summary>
    public static Html Draw(MethodComparison comparison, string baseline, MethodMeasure measure)
    {
        var rows = comparison
            .Methods.Select(method => (Method: method, Found: method.Against(baseline, measure)))
            .Where(row => row.Found is not null)
            .OrderByDescending(row => row.Found!.Difference.Mean * (measure.IsShare ? 1 : -1))
            .Select(row => new DrawnDifference(
                row.Method.Name,
                row.Found!.Difference.Mean,
                row.Found.Difference.Interval,
                row.Found.BySeed,
                row.Found.Verdict switch
                {
                    MethodVerdict.Helped => ChartColor.Series(HelpedColor),
                    MethodVerdict.Harmed => ChartColor.Series(HarmedColor),
                    _ => ChartColor.Ink,
                }
            ));
        return DifferenceChart.Draw(
            $"Differences of {measure.Title} from {baseline} with 95% intervals",
            [.. rows],
            MethodWords.Scale(measure)
        );
    }

    static Html Caption(MethodMeasure measure) =>
        Html.Of(
            $"{measure.Title}: {(measure.IsShare ? "right" : "left")} of the dashed line is better. Green helped, orange harmed, "
                + $"grey cannot be told apart; small points are seeds."
        );

    static Html Table(MethodComparison comparison) =>
        Rows(
            comparison,
            comparison.Methods,
            measure => measure.Title,
            (method, measure) =>
                Cell(
                    MethodWords.Figure(measure, method.Figures[measure].Mean),
                    "",
                    MethodWords.Bounds(measure, method.Figures[measure].Interval)
                )
        );

    static Html Table(MethodComparison comparison, string baseline) =>
        Rows(
            comparison,
            [.. comparison.Methods.Where(method => method.Name != baseline)],
            measure => $"{measure.Title}, p (Holm)",
            (method, measure) => Cell(method.Against(baseline, measure))
        );

    static Html Rows(
        MethodComparison comparison,
        IReadOnlyList<Method> methods,
        Func<MethodMeasure, string> title,
        Func<Method, MethodMeasure, Html> cell
    ) =>
        Section.Table(
            Html.Of(
                $"""
                <th scope="col">method</th>
                {comparison.Measures.Select(measure => Html.Of($"""<th scope="col">{title(measure)}</th>"""))}
                """
            ),
            methods.Select(method =>
                Html.Of(
                    $"""
                    <tr><th scope="row">{Section.Chip(method.Name, method.Color)}</th>
                    {comparison.Measures.Select(measure => cell(method, measure))}</tr>
                    """
                )
            )
        );

    static Html Cell(MethodDifference? found) =>
        found is null
            ? Html.Of($"<td>{Show.Nothing}</td>")
            : Cell(
                MethodWords.Difference(found.Measure, found.Difference.Mean),
                found.HolmP is { } p ? $" {Show.PEquals(p)}" : "",
                MethodWords.DifferenceBounds(found.Measure, found.Difference.Interval),
                isBold: found.Verdict != MethodVerdict.Undecided
            );

    static Html Cell(string value, string beside, string under, bool isBold = false)
    {
        var shown = isBold ? Html.Of($"<b>{value}</b>") : Html.Of($"{value}");
        return Html.Of($"""<td>{shown}{beside} <span class="soft under">{under}</span></td>""");
    }
}
