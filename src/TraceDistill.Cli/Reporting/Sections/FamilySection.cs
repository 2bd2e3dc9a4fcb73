using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Accuracy by problem family.</summary>
static class FamilySection
{
    public static Section? Of(RunFacts run) =>
        run.Evaluations.Count == 0
            ? null
            : new Section(
                "families",
                "By problem family",
                Html.Join(run.Evaluations.Select(evaluation => Of(evaluation, isOne: run.Evaluations.Count == 1)))
            );

    static Html Of(EvaluationFacts evaluation, bool isOne)
    {
        var families = evaluation.Models.SelectMany(model => model.Scores.Families.Keys).Distinct().Order(StringComparer.Ordinal).ToList();
        var title = isOne ? Html.Empty : Html.Of($"<h3>{evaluation.Stage.Name}</h3>");
        var rows = families.Select(family =>
            Html.Of(
                $"""
                <tr><th scope="row">{family}</th><td>{Show.Count(evaluation.Models[0].Scores.Families[family].N)}</td>
                {evaluation.Listed.Select(model => model.Scores.Families[family]).Select(scores =>
                    Html.Of(
                        $"""<td>{Show.Percent(scores.Accuracy)} <span class="soft under">{Show.Percent(scores.AccuracyCi)}</span></td>"""
                    )
                )}</tr>
                """
            )
        );
        var head = Html.Of(
            $"""
            <th scope="col">family</th><th scope="col">problems</th>
            {evaluation.Listed.Select(model => Html.Of($"""<th scope="col">{Section.Chip(model.Name, model.Color)}</th>"""))}
            """
        );
        return Html.Of(
            $"""
            {title}{Section.Legend(evaluation.Drawn)}
            <div class="grid">{AccuracyChart.ByFamily(evaluation).Select(drawing => Section.Figure(drawing, Html.Empty))}</div>
            <p class="soft below">Accuracy of the greedy answer, with 95% Wilson intervals. {evaluation.NotDrawn} {evaluation.NotListed}</p>
            <details><summary>The same as a table</summary>{Section.Table(head, rows)}</details>
            """
        );
    }
}
