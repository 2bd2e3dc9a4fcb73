using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>Accuracy of every model with its interval, and of every model in every family.</summary>
static class AccuracyChart
{
    const int RowHeight = 30;
    const int FewFamilies = 4;
    const int Margins = 58;

    public static Html Overall(EvaluationFacts evaluation)
    {
        var models = evaluation.Listed;
        var axis = Axis.Share(models.Select(model => model.Scores.AccuracyCi.Low), "share of problems solved");
        using var chart = new Chart(
            axis,
            Axis.Categories([.. models.Select(model => model.Name)], downwards: true),
            height: Margins + RowHeight * models.Count,
            left: LabelWidth(models.Select(model => model.Name))
        );
        foreach (var (row, model) in models.Index())
        {
            var (color, interval) = (ChartColor.Series(model.Color), model.Scores.AccuracyCi);
            chart.Segment(interval.Low, row, interval.High, row, color, 3);
            chart.Point(
                model.Scores.Accuracy,
                row,
                color,
                $"{model.Name}: {Show.Percent(model.Scores.Accuracy)} ({Show.Percent(interval)}) of {Show.Count(model.Scores.N)}"
            );
        }

        return chart.Render(
            "Accuracy with 95% intervals of "
                + $"{string.Join(", ", models.Select(model => $"{model.Name} {Show.Percent(model.Scores.Accuracy)}"))}"
        );
    }

    /// <summary>The families in two drawings on one scale, to stand side by side; in one where there are few.</summary>
    public static IReadOnlyList<Html> ByFamily(EvaluationFacts evaluation)
    {
        var models = evaluation.Drawn;
        var families = models.SelectMany(model => model.Scores.Families.Keys).Distinct().Order(StringComparer.Ordinal).ToList();
        var axis = Axis.Share(
            models.SelectMany(model => model.Scores.Families.Values).Select(family => family.AccuracyCi.Low),
            "share of problems solved"
        );
        var perDrawing = families.Count <= FewFamilies ? families.Count : (families.Count + 1) / 2;
        return [.. families.Chunk(perDrawing).Select(part => ByFamily(models, part, axis, LabelWidth(families)))];
    }

    static Html ByFamily(IReadOnlyList<ModelFacts> models, string[] families, Axis axis, int labelWidth)
    {
        using var chart = new Chart(
            axis,
            Axis.Categories(families, downwards: true),
            height: Margins + (8 * models.Count + 16) * families.Length,
            left: labelWidth
        );
        foreach (var (row, family) in families.Index())
        {
            chart.Segment(axis.Low, row - 0.5, axis.High, row - 0.5, ChartColor.Grid, 1);
            foreach (var (index, model) in models.Index().Where(item => item.Item.Scores.Families.ContainsKey(family)))
            {
                var y = row + (index + 1.0) / (models.Count + 1) - 0.5;
                var (scores, color) = (model.Scores.Families[family], ChartColor.Series(model.Color));
                chart.Segment(scores.AccuracyCi.Low, y, scores.AccuracyCi.High, y, color);
                chart.Point(
                    scores.Accuracy,
                    y,
                    color,
                    $"{family}, {model.Name}: {Show.Percent(scores.Accuracy)} ({Show.Percent(scores.AccuracyCi)}) of {scores.N}",
                    7
                );
            }
        }

        return chart.Render($"Accuracy with 95% intervals in the families {string.Join(", ", families)}");
    }

    static int LabelWidth(IEnumerable<string> labels) => 24 + 7 * labels.Max(label => label.Length);
}
