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
        // Of many ways of training, each with objectives of its own, what all have, and one seed each.
        var all = Training.Of(run);
        var trainings = run.Methods is null ? all : Training.OneOfEach(all);
        var metrics = trainings
            .SelectMany(training => training.Lines)
            .SelectMany(line => line.Values.Keys)
            .Distinct()
            .Where(metric =>
                Titles.ContainsKey(metric)
                || Shares.ContainsKey(metric)
                || (run.Methods is null && metric.Contains(Loss, StringComparison.Ordinal))
            )
            .OrderBy(metric => metric != Loss)
            .ThenBy(Shares.ContainsKey)
            .ToList();
        var seeds = run.Methods is null ? "" : " One seed of each way of training is drawn.";
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
                    not compare. A vertical axis is logarithmic where values fall far.{seeds}</p>
                    {Section.Legend(trainings.Select(training => (training.Name, training.Color)))}
                    <div class="grid">{metrics.Select(metric =>
                        Section.Figure(
                            LossChart.Draw(
                                TitleOf(metric),
                                trainings.Select(training => new DrawnMetric(training.Name, training.Color, training.Lines, metric))
                            ),
                            Html.Empty
                        )
                    )}</div>
                    """
                )
            );
    }

    static string TitleOf(string metric) => Shares.GetValueOrDefault(metric) ?? $"{Titles.GetValueOrDefault(metric, metric)}, nats a token";
}
