using TraceDistill.Training.Head;

namespace TraceDistill.Training;

/// <summary>Means over the trained tokens of one optimizer step.</summary>
/// <param name="Totals">Sums.</param>
/// <param name="GradientNorm">Norm of the mean gradient before clipping.</param>
/// <param name="LearningRate">Learning rate of the step.</param>
/// <param name="BatchTokens">Tokens processed, prompts included.</param>
/// <param name="Objectives">The loss of the step; null where it is not told.</param>
public readonly record struct StepMetrics(
    LossTotals Totals,
    double GradientNorm,
    double LearningRate,
    long BatchTokens,
    StepObjectives? Objectives = null
)
{
    /// <summary>
    /// Names of losses that are not of a token's logits, but of states, of the balance of experts or of weights: each has a unit of its
    /// own.
    /// </summary>
    public static IReadOnlySet<string> NotOfLogits { get; } = new HashSet<string>([.. ObjectiveChoice.OfStates, "router", "ewc"]);

    /// <summary>Trained tokens of texts of which no stored teacher says anything.</summary>
    public long Untold { get; init; }

    /// <summary>The loss that is minimised, per trained token.</summary>
    public double Loss => Totals.Loss / Totals.Tokens;

    /// <summary>
    /// For metrics.jsonl: the loss and each objective without its weight: <c>loss_ce</c>, <c>loss_kd</c>, <c>loss_uld</c>, <c>loss_z</c>,
    /// <c>loss_router</c> (with it); and where it was measured <c>grad_norm_</c> of each, the root mean square over its tokens of
    /// <see cref="TermTotal.SquaredGradient"/>.
    /// </summary>
    public Dictionary<string, double> ToValues()
    {
        var values = new Dictionary<string, double>
        {
            ["loss"] = Loss,
            ["grad_norm"] = GradientNorm,
            ["learning_rate"] = LearningRate,
            ["tokens"] = BatchTokens,
        };
        foreach (var term in Totals.Terms.Where(term => term.Tokens > 0))
        {
            values[$"loss_{term.Name}"] = term.Sum / term.Tokens;
            if (term.SquaredGradient is { } squares)
            {
                values[$"grad_norm_{term.Name}"] = Math.Sqrt(squares / term.Tokens);
            }
        }

        foreach (var (name, value) in Totals.Panel?.ToValues() ?? [])
        {
            values[name] = value;
        }

        if (Objectives is { } objectives)
        {
            if (objectives.Alpha is { } alpha)
            {
                values["kd_alpha"] = alpha;
            }

            foreach (var (name, value) in Totals.Measured?.ToValues(objectives.Terms, Totals) ?? [])
            {
                values[name] = value;
            }

            if (values.GetValueOrDefault("untaught") > 0)
            {
                values["untaught_texts"] = Untold;
            }
        }

        return values;
    }
}
