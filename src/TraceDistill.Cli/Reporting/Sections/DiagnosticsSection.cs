using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Training;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Diagnostics of the objectives, step by step: small charts of one seed of each way of training.</summary>
static class DiagnosticsSection
{
    const string ValuePrefix = "loss_";
    const string GradientPrefix = "grad_norm_";
    const int Width = 330;
    const int Height = 190;
    const int PointsDrawn = 60;

    /// <summary>Quantities of one chart, with the names of its curves.</summary>
    static readonly (string Title, (string Metric, string Name)[] Curves)[] Together =
    [
        ("cosine of soft and hard gradient", [("grad_cosine", "cosine")]),
        ("entropy, nats", [("teacher_entropy", "teacher"), ("student_entropy", "student")]),
        ("share of tokens, or of probability", [("top1", "top-1 agreement"), ("covered_mass", "covered mass")]),
        (
            "tokens of a step",
            [
                ("untaught", "without soft targets"),
                ("untaught_texts", "of these, in texts without any"),
                ("drawn_outside", "drawn outside of them"),
            ]
        ),
        ("kd_alpha", [("kd_alpha", "kd_alpha")]),
    ];

    public static Section? Of(RunFacts run)
    {
        var trainings = Training.OneOfEach(Training.Of(run)).Where(training => NamesOf(training, GradientPrefix).Count > 0).ToList();
        return trainings.Count == 0
            ? null
            : new Section(
                "diagnostics",
                "Diagnostics",
                Html.Of(
                    $"""
                    <p>Of every objective, by step: its value without its weight, and the size of its gradient by a token's logits (root mean
                    square over tokens; of objectives of states by these states, of the balance of experts by the router's probabilities, of
                    EWC by the weights: each of these has a unit of its own, and charts of its own); and what soft and hard gradients have in common (cosine 1: the same direction), how sure teacher and
                    student are, at how many tokens both find the same token most probable, how much of the teacher's probability its soft
                    targets cover, and the tokens that have none. Of copies of a matrix the first is drawn.</p>
                    {trainings.Select(Of)}
                    """
                )
            );
    }

    static Html Of(Training training)
    {
        IEnumerable<(string Title, (string Metric, string Name)[] Curves)> charts =
        [
            ("value a token", [.. Named(training, ValuePrefix).Where(IsOfLogits)]),
            ("gradient by a token's logits", [.. Named(training, GradientPrefix).Where(IsOfLogits)]),
            .. Named(training, ValuePrefix).Where(curve => !IsOfLogits(curve)).Select(curve => ($"{curve.Name}: value", new[] { curve })),
            .. Named(training, GradientPrefix)
                .Where(curve => !IsOfLogits(curve))
                .Select(curve => ($"{curve.Name}: gradient", new[] { curve })),
            .. Together,
        ];
        return Html.Of(
            $"""
            <details><summary>{Section.Chip(training.Name, training.Color)}</summary><div class="grid small">
            {charts.Select(chart => Chart(training, chart.Title, chart.Curves))}</div></details>
            """
        );
    }

    static bool IsOfLogits((string Metric, string Name) curve) => !StepMetrics.NotOfLogits.Contains(curve.Name);

    static Html Chart(Training training, string title, (string Metric, string Name)[] curves)
    {
        // A count or a cosine that is 0 at every step says nothing.
        var shown = curves.Where(curve => training.Lines.Any(line => line.Values.GetValueOrDefault(curve.Metric) != 0)).ToList();
        var drawing = LossChart.Draw(
            title,
            shown.Index().Select(curve => new DrawnMetric(curve.Item.Name, curve.Index + 1, training.Lines, curve.Item.Metric)),
            Width,
            Height,
            PointsDrawn
        );
        return drawing.IsEmpty
            ? Html.Empty
            : Section.Figure(drawing, Section.Legend(shown.Index().Select(curve => (curve.Item.Name, curve.Index + 1))));
    }

    static (string Metric, string Name)[] Named(Training training, string prefix) =>
        [.. NamesOf(training, prefix).Select(metric => (metric, metric[prefix.Length..]))];

    static List<string> NamesOf(Training training, string prefix) =>
        [
            .. training
                .Lines.SelectMany(line => line.Values.Keys)
                .Where(metric => metric.StartsWith(prefix, StringComparison.Ordinal))
                .Distinct()
                .Order(StringComparer.Ordinal),
        ];
}
