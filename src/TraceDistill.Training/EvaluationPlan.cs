using System.Globalization;
using TraceDistill.Data.Statistics;

namespace TraceDistill.Training;

/// <summary>When and by what a model in training is judged.</summary>
/// <param name="Traces">Traces that it does not learn from; null for none.</param>
/// <param name="Answers">Problems that it answers; null for none.</param>
/// <param name="Steps">Steps between evaluations; the last step has one too.</param>
/// <param name="Metric">Decides which weights are the best.</param>
/// <param name="LoadBest">True where the training ends with the best weights.</param>
/// <param name="Patience">Evaluations without a better value after which it ends; 0 never.</param>
/// <param name="Threshold">By how much a value has to be better for <see cref="Patience"/>; the best weights are so by any amount.</param>
public sealed record EvaluationPlan(
    HeldOutTraces? Traces,
    IAnswerEvaluation? Answers,
    int Steps,
    HeldOutMetric Metric,
    bool LoadBest,
    int Patience,
    double Threshold
)
{
    /// <summary>Labelled texts that it does not learn from; null for none.</summary>
    public HeldOutTasks? Tasks { get; init; }

    /// <summary>True where an evaluation follows a step.</summary>
    /// <param name="step">Steps made.</param>
    /// <param name="last">Steps of the whole training.</param>
    public bool IsDue(long step, long last) => step > 0 && (step == last || step % Steps == 0);
}

/// <summary>Figures of one evaluation.</summary>
/// <param name="Traces">On held-out traces; null where there are none.</param>
/// <param name="Answers">Of generated answers; null where none are asked for.</param>
public readonly record struct EvaluationScores(HeldOutScores? Traces, AnswerScores? Answers)
{
    /// <summary>Of each task, by its name; null in a training on traces.</summary>
    public IReadOnlyDictionary<string, LabelScores>? Tasks { get; init; }

    /// <summary>The value of one metric; smaller is better, so that Top1 and Accuracy are negative.</summary>
    public double Of(HeldOutMetric metric) =>
        metric switch
        {
            _ when Tasks is not null => OfTasks(metric),
            HeldOutMetric.Kl => Traces!.Value.Kl,
            HeldOutMetric.Ce => Traces!.Value.Ce,
            HeldOutMetric.Top1 => -Traces!.Value.Top1,
            HeldOutMetric.Accuracy => -Answers!.Value.Accuracy,
            _ => Traces!.Value.Loss,
        };

    /// <summary>The mean over tasks, so that one of many items does not stand for all.</summary>
    double OfTasks(HeldOutMetric metric)
    {
        var known = metric == HeldOutMetric.Accuracy ? Tasks!.Values.Where(scores => scores.Count > 0) : Tasks!.Values;
        return known
            .Select(scores =>
                metric switch
                {
                    HeldOutMetric.Accuracy => -scores.Accuracy,
                    HeldOutMetric.Kl => scores.Kl ?? double.NaN,
                    // Where a teacher alone labels, what is lost against it, which is a loss in nats as well.
                    _ => scores.Count > 0 ? scores.Loss : scores.Kl ?? double.NaN,
                }
            )
            .DefaultIfEmpty(double.NaN)
            .Average();
    }

    /// <summary>For metrics.jsonl.</summary>
    public Dictionary<string, double> ToValues()
    {
        var values = Traces?.ToValues() ?? [];
        if (Answers is { } answers)
        {
            (values["eval_accuracy"], values["eval_answer_tokens"]) = (answers.Accuracy, answers.MeanTokens);
        }

        foreach (var (name, value) in Tasks?.SelectMany(task => ToValues(task.Key, task.Value)) ?? [])
        {
            values[name] = value;
        }

        return values;
    }

    static IEnumerable<(string Name, double Value)> ToValues(string task, LabelScores scores) =>
        new[]
        {
            ($"eval_{task}_loss", scores.Loss),
            ($"eval_{task}_accuracy", scores.Accuracy),
            ($"eval_{task}_f1", scores.MacroF1),
            ($"eval_{task}_ece", scores.Ece),
            ($"eval_{task}_kl", scores.Kl ?? double.NaN),
            ($"eval_{task}_agreement", scores.Agreement ?? double.NaN),
        }.Where(figure => !double.IsNaN(figure.Item2));

    public override string ToString()
    {
        var parts = new List<string>();
        if (Traces is { } traces)
        {
            var kl = double.IsNaN(traces.Kl) ? "" : FormattableString.Invariant($"KL {traces.Kl:F4}, ");
            parts.Add(
                FormattableString.Invariant(
                    $"held-out traces: loss {traces.Loss:F4}, {kl}CE {traces.Ce:F4}, top-1 agreement {traces.Top1:P1}"
                )
            );
        }

        if (Answers is { } answers)
        {
            parts.Add(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"generated answers: {answers.Correct:N0} of {answers.Count:N0} "
                        + $"correct ({answers.Accuracy:P1}), {answers.MeanTokens:F0} tokens each"
                )
            );
        }

        foreach (var (task, scores) in Tasks ?? new Dictionary<string, LabelScores>())
        {
            string?[] figures =
            [
                scores.Count > 0
                    ? FormattableString.Invariant($"loss {scores.Loss:F4}, accuracy {scores.Accuracy:P1}, macro F1 {scores.MacroF1:F3}")
                    : null,
                scores.Kl is { } divergence
                    ? FormattableString.Invariant($"KL {divergence:F4}, agreement with the teacher {scores.Agreement:P1}")
                    : null,
            ];
            parts.Add($"{task}: {string.Join(", ", figures.OfType<string>())}");
        }

        return string.Join("; ", parts);
    }
}
