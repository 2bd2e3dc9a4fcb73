using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Classifiers on held-out texts: each way of training with its figures, over seeds where there are several.</summary>
static class ClassifierSection
{
    public static Section? Of(RunFacts run) =>
        run.Labels.All(labels => labels.Result.Models.Count == 0)
            ? null
            : new Section(
                "classifiers",
                "Classifiers",
                Html.Of(
                    $"""
                    <p>Accuracy is the share of texts that are labelled right; of tokens, of texts whose every token is. Of a single
                    model the interval is Wilson's over texts, of several seeds Student's t over seeds; both have 95%. The last column compares
                    with the first way of several seeds, seed by seed, and p is the exact sign-flip test. ECE is the expected
                    calibration error of the most probable label.</p>
                    {run.Labels.Where(labels => labels.Result.Models.Count > 0).Select(Of)}
                    """
                )
            );

    static Html Of(LabelFacts labels)
    {
        var first = labels.Ways.FirstOrDefault(way => way.Copies.Count > 1);
        var hasTokens = labels.Result.Models.Values.Any(model => model.SpanF1 is not null);
        var ofTokens = hasTokens ? Html.Of($"""<th scope="col">tokens right</th><th scope="col">spans F1</th>""") : Html.Empty;
        var head = Html.Of(
            $"""
            <th scope="col">classifier</th><th scope="col">parameters</th><th scope="col">seeds</th>
            <th scope="col">accuracy (95% interval)</th>{ofTokens}<th scope="col">macro F1</th><th scope="col">loss</th>
            <th scope="col">ECE</th><th scope="col">{(first is null ? "" : $"points above {first.Name}")}</th>
            """
        );
        return Html.Of(
            $"""
            <h3>{labels.Stage.Name}</h3><p>{Show.Count(labels.Result.Labelled)} labelled texts of {labels.Result.File}.</p>
            {Section.Table(head, labels.Ways.Select(way => Row(way, first, hasTokens)))}
            """
        );
    }

    static Html Row(ClassifierWay way, ClassifierWay? first, bool hasTokens)
    {
        var accuracy = way.Mean(scores => scores.Accuracy);
        var interval = accuracy.Interval ?? way.Copies[0].Scores.AccuracyCi;
        var tokens = hasTokens
            ? Html.Of(
                $"""
                <td>{Show.Percent(way.Mean(scores => scores.Items.Accuracy).Mean)}</td>
                <td>{way.Mean(scores => scores.SpanF1 ?? 0).Mean:0.000}</td>
                """
            )
            : Html.Empty;
        return Html.Of(
            $"""
            <tr><th scope="row">{way.Name}</th><td>{Show.Large(way.Copies[0].Scores.Parameters)}</td><td>{way.Copies.Count}</td>
            <td><b>{Show.Percent(accuracy.Mean)}</b> <span class="soft under">{Show.Percent(interval)}</span></td>{tokens}
            <td>{way.Mean(scores => scores.Items.MacroF1).Mean:0.000}</td><td>{way.Mean(scores => scores.Items.Loss).Mean:0.000}</td>
            <td>{way.Mean(scores => scores.Items.Ece).Mean:0.000}</td><td>{Difference(way, first)}</td></tr>
            """
        );
    }

    static string Difference(ClassifierWay way, ClassifierWay? first)
    {
        var differences = first is null || way == first ? [] : way.DifferencesFrom(first);
        if (differences.Length < 2)
        {
            return differences.Length == 0 ? Show.Nothing : Show.Points(differences[0]);
        }

        var mean = MeanOverSeeds.Of(differences);
        return $"{Show.Points(mean.Mean)} ({Show.Points(mean.Interval!.Value)}), {Show.PEquals(SignFlipTest.PValue(differences))}";
    }
}
