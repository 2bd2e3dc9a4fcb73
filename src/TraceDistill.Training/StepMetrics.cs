using TraceDistill.Training.Objectives;

namespace TraceDistill.Training;

/// <summary>Means over the trained tokens of one update.</summary>
/// <param name="Totals">Sums.</param>
/// <param name="GradientNorm">Norm of the mean gradient before clipping.</param>
/// <param name="LearningRate">Learning rate of the update.</param>
/// <param name="BatchTokens">Tokens processed, prompts included.</param>
public readonly record struct StepMetrics(LossTotals Totals, double GradientNorm, double LearningRate, long BatchTokens)
{
    /// <summary>The loss that is minimised, per trained token.</summary>
    public double Loss => Totals.Loss / Totals.Tokens;

    /// <summary>For metrics.jsonl: the loss and its terms as they enter it; <c>loss_kd</c>, <c>loss_uld</c>, <c>loss_z</c> and <c>loss_router</c> where there is one.</summary>
    public Dictionary<string, double> ToValues()
    {
        var values = new Dictionary<string, double>
        {
            ["loss"] = Loss,
            ["loss_ce"] = Totals.CrossEntropy / Totals.Tokens,
            ["grad_norm"] = GradientNorm,
            ["learning_rate"] = LearningRate,
            ["tokens"] = BatchTokens,
        };
        if (Totals.SoftTokens > 0)
        {
            values["loss_kd"] = Totals.Divergence / Totals.SoftTokens;
        }

        if (Totals.Uld > 0)
        {
            values["loss_uld"] = Totals.Uld / Totals.SoftTokens;
        }

        if (Totals.ZLoss > 0)
        {
            values["loss_z"] = Totals.ZLoss / Totals.Tokens;
        }

        if (Totals.Routers > 0)
        {
            values["loss_router"] = Totals.Routers / Totals.Tokens;
        }

        return values;
    }
}
