using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Loss terms over the steps of all trainings.</summary>
static class LearningSection
{
    const string Loss = "loss";
    static readonly Dictionary<string, string> Titles = new()
    {
        [Loss] = "loss",
        ["loss_ce"] = "hard loss (loss_ce)",
        ["loss_kd"] = "soft targets (loss_kd)",
        ["eval_loss"] = "held-out loss (eval_loss)",
        ["eval_kl"] = "held-out KL (eval_kl)",
        ["eval_ce"] = "held-out hard loss (eval_ce)",
    };

    /// <summary>Figures that are shares, from 0 to 1, and larger where the model is better.</summary>
    static readonly Dictionary<string, string> Shares = new()
    {
        ["eval_top1"] = "share of held-out tokens at which the most probable token is the teacher's (eval_top1)",
        ["eval_accuracy"] = "share of problems answered correctly (eval_accuracy)",
    };

    public static Section? Of(RunFacts run)
    {
        var trainings = Trainings(run);
        var metrics = trainings
            .SelectMany(training => training.Lines)
            .SelectMany(line => line.Values.Keys)
            .Where(metric => metric.Contains(Loss, StringComparison.Ordinal) || Titles.ContainsKey(metric) || Shares.ContainsKey(metric))
            .Distinct()
            .OrderBy(metric => metric != Loss)
            .ThenBy(Shares.ContainsKey)
            .ToList();
        return metrics.Count == 0
            ? null
            : new Section(
                "learning",
                "Learning",
                Html.Of(
                    $"""
                    <p>Losses are means over the trained tokens of a step, in nats a token, as the trainings logged them.
                    The hard loss is the cross entropy of the teacher's tokens, that of soft targets the divergence from
                    the teacher's distribution. The loss weighs both by kd_alpha, so that losses of different kd_alpha do
                    not compare. A vertical axis is logarithmic where values fall far.</p>
                    {Section.Legend(trainings.Select(training => (training.Name, training.Color)))}
                    <div class="grid">{metrics.Select(metric =>
                        Section.Figure(LossChart.Draw(metric, TitleOf(metric), trainings), Html.Empty)
                    )}</div>
                    """
                )
            );
    }

    static string TitleOf(string metric) => Shares.GetValueOrDefault(metric) ?? $"{Titles.GetValueOrDefault(metric, metric)}, nats a token";

    /// <summary>Stages with metrics, coloured like the models they made; copies of a matrix share name and colour.</summary>
    static List<(string Name, int Color, IReadOnlyList<MetricsLine> Lines)> Trainings(RunFacts run)
    {
        var models = run.Evaluations.SelectMany(evaluation => evaluation.Models).ToList();
        var colors = models
            .Where(model => model.IsResult)
            .DistinctBy(model => model.Stage!.Family)
            .ToDictionary(model => model.Stage!.Family, model => model.Color);
        var next = models.Select(model => model.Color).DefaultIfEmpty(-1).Max() + 1;
        var found = new List<(string, int, IReadOnlyList<MetricsLine>)>();
        foreach (
            var lines in run
                .Metrics.GroupBy(line => line.Stage)
                .Where(lines => lines.Any(line => line.Values.Keys.Any(key => key.Contains(Loss, StringComparison.Ordinal))))
        )
        {
            var family = run.Stages.FirstOrDefault(stage => stage.Name == lines.Key)?.Family ?? lines.Key;
            if (!colors.TryGetValue(family, out var color))
            {
                colors[family] = color = next++;
            }

            found.Add((family, color, [.. lines]));
        }

        return found;
    }
}
