using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>Gain from more samples a problem: pass@k and maj@k over k.</summary>
static class SamplingChart
{
    const int Height = 220;

    public static Html Draw(IReadOnlyList<ModelFacts> models)
    {
        var sizes = models.SelectMany(model => model.Scores.Sampled!.PassAt.Keys).Distinct().Order().ToList();
        var shares = models.SelectMany(model => model.Scores.Sampled!.PassAt.Values.Concat(model.Scores.Sampled.MajAt.Values));
        using var chart = new Chart(
            Axis.Categories([.. sizes.Select(k => $"{k}")], "samples k"),
            Axis.Share(shares, "share of problems solved"),
            height: Height,
            left: 72
        );
        foreach (var model in models)
        {
            Curve(model, "pass", model.Scores.Sampled!.PassAt, ChartColor.Series(model.Color));
            Curve(model, "maj", model.Scores.Sampled!.MajAt, ChartColor.Dashed(model.Color));
        }

        return chart.Render($"pass@k and maj@k for k up to {sizes[^1]}");

        void Curve(ModelFacts model, string kind, IReadOnlyDictionary<int, double> shareAt, ChartColor color)
        {
            chart.Line([.. shareAt.Select(entry => ((double)sizes.IndexOf(entry.Key), entry.Value))], color, 1.75f);
            foreach (var (k, share) in shareAt)
            {
                chart.Point(sizes.IndexOf(k), share, ChartColor.Series(model.Color), $"{model.Name}: {kind}@{k} {Show.Percent(share)}", 6);
            }
        }
    }
}
