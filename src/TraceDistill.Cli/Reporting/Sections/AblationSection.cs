using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Two ways of training, repeated over seeds and conditions. Stands only in reports of runs that have a matrix.</summary>
static class AblationSection
{
    public static Section? Of(RunFacts run)
    {
        // A table of methods has all pairs of one condition, and the baselines among them.
        var ablations = Ablation.Find(run).Where(ablation => run.Methods is null || ablation.Conditions.Count > 1).ToList();
        return ablations.Count == 0
            ? null
            : new Section(
                "ablation",
                "Ablation",
                Html.Of(
                    $"""
                    <p>Each pair was trained with the same seed on the same data and differs in nothing but the stage's own
                    settings. Intervals are Student's t over the seeds, so they are wide where seeds are few; small grey
                    points are single pairs. Over all conditions each seed counts once, with its mean: its pairs begin with
                    the same weights and do not repeat each other. {Few(ablations)}</p>
                    {ablations.Select(Of)}
                    """
                )
            );
    }

    static Html Of(Ablation ablation)
    {
        DrawnDifference[] rows =
        [
            .. ablation.Conditions.Select(condition => new DrawnDifference(
                Label(condition.Name),
                condition.Difference.Mean,
                condition.Difference.Interval,
                [.. condition.Pairs.Select(pair => pair.Difference)],
                ChartColor.Series(ablation.FirstColor)
            )),
            .. ablation.Conditions.Count > 1
                ? [new DrawnDifference("all", ablation.Overall.Mean, ablation.Overall.Interval, [], ChartColor.Ink)]
                : Array.Empty<DrawnDifference>(),
        ];
        Html[] table =
        [
            .. ablation.Conditions.Select(condition => Row(Label(condition.Name), condition.Pairs, condition.Difference)),
            .. ablation.Conditions.Count > 1 ? [Row("all", ablation.Pairs, ablation.Overall)] : Array.Empty<Html>(),
        ];
        var head = Html.Of(
            $"""
            <th scope="col">condition</th><th scope="col">pairs</th><th scope="col">{Section.Chip(
                ablation.First,
                ablation.FirstColor
            )}</th><th scope="col">{Section.Chip(ablation.Second, ablation.SecondColor)}</th>
            <th scope="col">points (95% interval)</th><th scope="col" title="paired t test over the seeds">p</th>
            """
        );
        var signFlip = ablation.SignFlip is { } p
            ? $" Over the {ablation.Seeds} seeds the exact sign-flip test gives {Show.PEquals(p)}."
            : "";
        var caption = Html.Of($"Mean paired difference with its 95% interval.{signFlip}");
        return Html.Of(
            $"""
            <h3>{ablation.First} − {ablation.Second}</h3><div class="pair">
            {Section.Figure(
                DifferenceChart.Draw($"Paired differences of accuracy, {ablation.First} minus {ablation.Second}", rows, DifferenceScale.Points),
                caption
            )}
            {Section.Table(head, table)}</div>
            """
        );
    }

    static string Few(List<Ablation> ablations) =>
        ablations.Min(ablation => ablation.Seeds) is < Ablation.EnoughSeeds and var seeds
            ? $"{(seeds == 1 ? "One seed is" : $"{seeds} seeds are")} few: "
                + $"{Ablation.EnoughSeeds} or more make a finding about the way of training."
            : "";

    static Html Row(string label, IReadOnlyList<AblationPair> pairs, MeanOverSeeds difference) =>
        Html.Of(
            $"""
            <tr><th scope="row">{label}</th><td>{pairs.Count}</td><td>{Show.Percent(
                pairs.Average(pair => pair.First)
            )}</td><td>{Show.Percent(pairs.Average(pair => pair.Second))}</td>
            <td><b>{Show.Points(difference.Mean)}</b> <span class="soft under">{(
                difference.Interval is { } interval ? Show.Points(interval) : Show.Nothing
            )}</span></td>
            <td>{(difference.PValue is { } p ? Show.PValue(p) : Show.Nothing)}</td></tr>
            """
        );

    static string Label(string condition) => condition.Length == 0 ? "as given" : condition;
}
