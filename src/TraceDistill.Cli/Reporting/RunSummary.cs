using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Files;
using TraceDistill.Evaluation;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting;

/// <summary>A run's figures for scripts: the content of <c>summary.json</c>.</summary>
sealed record RunSummary
{
    public const string FileName = "summary.json";

    /// <summary>By name; where two evaluations know the same name, those of the later one are <c>STAGE.NAME</c>.</summary>
    public required IReadOnlyDictionary<string, ModelSummary> Models { get; init; }

    /// <summary>Traces that students learned from; null where the run has no traces.</summary>
    public required TraceSummary? Traces { get; init; }

    /// <summary><c>total</c>, in which what ran at the same time counts once, and by stage.</summary>
    public required IReadOnlyDictionary<string, double> Seconds { get; init; }

    /// <inheritdoc cref="RunFacts.PeakMemoryBytes"/>
    public required long PeakMemoryBytes { get; init; }

    /// <summary>Every pair of models that answered the same problems.</summary>
    public required IReadOnlyList<Comparison> Comparisons { get; init; }

    /// <summary>Paired over a matrix; empty without one.</summary>
    public required IReadOnlyList<AblationSummary> Ablations { get; init; }

    /// <summary>
    /// Ways of training with their baselines, the most accurate first; empty where fewer than three are compared, or fewer than two by
    /// given baselines.
    /// </summary>
    public required IReadOnlyList<MethodSummary> Methods { get; init; }

    public static RunSummary Of(RunFacts run)
    {
        var models = new OrderedDictionary<string, ModelSummary>();
        foreach (var evaluation in run.Evaluations.OrderBy(evaluation => evaluation != run.Main))
        {
            foreach (var model in evaluation.Models)
            {
                var scores = model.Scores;
                var summary = new ModelSummary(scores.Accuracy, scores.AccuracyCi, scores.N, scores.Parameters, scores.Unverified);
                models.TryAdd(models.ContainsKey(model.Name) ? $"{evaluation.Stage.Name}.{model.Name}" : model.Name, summary);
            }
        }

        return new RunSummary
        {
            Models = models,
            Traces = TraceSummary.Of(run),
            Seconds = new OrderedDictionary<string, double>([
                KeyValuePair.Create("total", Math.Round(run.Seconds, 3)),
                .. run.Stages.Select(stage => KeyValuePair.Create(stage.Name, stage.Seconds)),
            ]),
            PeakMemoryBytes = run.PeakMemoryBytes,
            Comparisons = [.. run.Evaluations.SelectMany(evaluation => evaluation.Result.Comparisons)],
            Ablations = [.. Ablation.Find(run).Select(AblationSummary.Of)],
            Methods =
            [
                .. run.Methods is { } comparison
                    ? comparison.Methods.Select(method => MethodSummary.Of(method, comparison.Evaluations[0]))
                    : [],
            ],
        };
    }

    public void Write(string folder) => JsonFile.Write(Path.Combine(folder, FileName), this);
}

/// <summary>One model's result.</summary>
/// <param name="Unverified">Number of the answers that could not be compared with the expected ones; accuracy counts them as wrong.</param>
sealed record ModelSummary(double Accuracy, Interval AccuracyCi, int N, long? Parameters, int Unverified);

/// <summary>The traces that were trained on.</summary>
sealed record TraceSummary(long Count, long Tokens, long Bytes, double BytesPerToken, int TopK)
{
    /// <summary>Of the data sets that a training names; of all, where none does.</summary>
    public static TraceSummary? Of(RunFacts run)
    {
        var read = run
            .Traces.Where(traces =>
                run.Stages.Any(stage =>
                    stage.Verb == "train" && stage.Settings.Values.Any(value => value.Split('/')[0] == traces.Stage.Name)
                )
            )
            .ToList();
        var counted = read.Count > 0 ? read : run.Traces;
        var tokens = counted.Sum(traces => traces.Tokens);
        var bytes = counted.Sum(traces => traces.Bytes);
        return counted.Count == 0
            ? null
            : new TraceSummary(
                counted.Sum(traces => traces.Count),
                tokens,
                bytes,
                tokens == 0 ? 0 : (double)bytes / tokens,
                counted.Max(traces => traces.TopK)
            );
    }
}

/// <summary>One comparison over a matrix.</summary>
sealed record AblationSummary(
    string First,
    string Second,
    double Difference,
    Interval? DifferenceCi,
    double? SignFlipP,
    int Pairs,
    int Seeds,
    IReadOnlyList<AblationConditionSummary> Conditions
)
{
    public static AblationSummary Of(Ablation ablation) =>
        new(
            ablation.First,
            ablation.Second,
            ablation.Overall.Mean,
            ablation.Overall.Interval,
            ablation.SignFlip,
            ablation.Pairs.Count,
            ablation.Seeds,
            [
                .. ablation.Conditions.Select(condition => new AblationConditionSummary(
                    condition.Name,
                    condition.First,
                    condition.Second,
                    condition.Difference.Mean,
                    condition.Difference.Interval,
                    condition.Pairs.Count
                )),
            ]
        );
}

/// <summary>One condition of such a comparison.</summary>
sealed record AblationConditionSummary(string Condition, double First, double Second, double Difference, Interval? DifferenceCi, int Seeds);

/// <summary>One way of training, over its seeds.</summary>
/// <param name="Evaluation">Stage of the evaluation that accuracy, KL and LM loss are of.</param>
/// <param name="Kl">To the teacher, in nats a token; null where it was not measured.</param>
/// <param name="LmLoss">Mean of −ln p of the teacher's tokens, in nats; null where it was not measured.</param>
/// <param name="Others">Figures of further evaluations: <c>new_scores.accuracy</c>.</param>
sealed record MethodSummary(
    string Method,
    string Evaluation,
    MeanOverSeeds Accuracy,
    MeanOverSeeds? Kl,
    MeanOverSeeds? LmLoss,
    IReadOnlyDictionary<string, MeanOverSeeds> Others,
    IReadOnlyList<MethodDifferenceSummary> Differences
)
{
    public static MethodSummary Of(Method method, EvaluationFacts main)
    {
        var figures = method.Figures.ToDictionary(figure => figure.Key.Key, figure => figure.Value);
        return new(
            method.Name,
            main.Stage.Name,
            Take(MethodMeasure.Accuracy)!,
            Take(MethodMeasure.Kl),
            Take(MethodMeasure.LmLoss),
            figures,
            [
                .. method.Differences.Select(found => new MethodDifferenceSummary(
                    found.Measure.Key,
                    found.Baseline,
                    found.Difference,
                    found.HolmP,
                    found.SignFlipP,
                    found.Verdict
                )),
            ]
        );

        MeanOverSeeds? Take(MethodMeasure measure) =>
            figures.Remove(measure.Key, out var only) || figures.Remove(measure.In(main).Key, out only) ? only : null;
    }
}

/// <summary>Its difference from a baseline.</summary>
sealed record MethodDifferenceSummary(
    string Measure,
    string Baseline,
    MeanOverSeeds Difference,
    double? HolmP,
    double? SignFlipP,
    MethodVerdict Verdict
);
