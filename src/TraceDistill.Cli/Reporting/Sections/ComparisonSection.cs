using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Evaluation;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Each model against each other, problem by problem.</summary>
static class ComparisonSection
{
    public static Section? Of(RunFacts run) =>
        run.Evaluations.All(evaluation => evaluation.Result.Comparisons.Count == 0)
            ? null
            : new Section(
                "comparisons",
                "Paired comparisons",
                Html.Of(
                    $"""
                    <p>Both models of a pair answered the same problems, so only those on which they disagree tell them apart.
                    The interval is a paired bootstrap over problems (BCa, 95%), p is the exact McNemar test. Both take the
                    models' weights as they came out: they say how these models differ, and not how ways of training do, which
                    needs several seeds of each. With many pairs, expect one in twenty below 0.05 by chance.</p>
                    {run.Evaluations.Where(evaluation => evaluation.Result.Comparisons.Count > 0).Select(evaluation =>
                        Of(evaluation, isOne: run.Evaluations.Count == 1)
                    )}
                    """
                )
            );

    static Html Of(EvaluationFacts evaluation, bool isOne)
    {
        var drawnNames = evaluation.Drawn.Select(model => model.Name).ToHashSet();
        var drawn = evaluation
            .Result.Comparisons.Where(comparison => drawnNames.Contains(comparison.First) && drawnNames.Contains(comparison.Second))
            .ToList();
        var others = evaluation.Result.Comparisons.Except(drawn).ToList();
        var title = isOne ? Html.Empty : Html.Of($"<h3>{evaluation.Stage.Name}</h3>");
        var more =
            others.Count == 0 ? Html.Empty : Html.Of($"<details><summary>{others.Count} more pairs</summary>{Table(others)}</details>");
        var caption = Html.Of(
            $"First minus second, in percentage points. Left of the dashed line the second is better. {evaluation.NotDrawn}"
        );
        return Html.Of(
            $"""
            {title}<div class="pair">
            {Section.Figure(
                DifferenceChart.Draw("Differences of accuracy between models with 95% intervals", [.. drawn.Select(Row)], DifferenceScale.Points),
                caption
            )}
            {Table(drawn)}
            </div>{more}
            """
        );

        DrawnDifference Row(Comparison comparison) =>
            new(
                $"{comparison.First} − {comparison.Second}",
                comparison.Difference,
                comparison.DifferenceCi,
                [],
                ChartColor.Series(evaluation.Models.First(model => model.Name == comparison.First).Color)
            );
    }

    static Html Table(IEnumerable<Comparison> comparisons) =>
        Section.Table(
            Html.Of(
                $"""
                <th scope="col">pair</th><th scope="col">points (95% interval)</th>
                <th scope="col" title="problems that only the first, and only the second solved">only first / second</th>
                <th scope="col">p</th>
                """
            ),
            comparisons.Select(comparison =>
                Html.Of(
                    $"""
                    <tr><th scope="row">{comparison.First} − {comparison.Second}</th>
                    <td><b>{Show.Points(comparison.Difference)}</b> <span class="soft under">{Show.Points(
                        comparison.DifferenceCi
                    )}</span></td>
                    <td>{Show.Count(comparison.OnlyFirst)} / {Show.Count(comparison.OnlySecond)}</td><td>{Show.PValue(
                        comparison.PValue
                    )}</td></tr>
                    """
                )
            )
        );
}
