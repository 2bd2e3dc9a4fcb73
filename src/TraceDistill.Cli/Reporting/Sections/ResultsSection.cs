using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Every model with every figure that was measured of it.</summary>
static class ResultsSection
{
    /// <param name="Under">Small print below the value, such as an interval.</param>
    sealed record Column(string Head, string Meaning, Func<ModelFacts, string?> Value, Func<ModelFacts, string?>? Under = null);

    static readonly Column[] Columns =
    [
        new("parameters", "number of weights", model => model.Scores.Parameters is { } count ? Show.Large(count) : null),
        new("unverified", "greedy answers that could not be compared with the expected ones and count as wrong", model =>
            Show.Count(model.Scores.Unverified)
        ),
        new(
            "pass@k",
            "chance that one of k samples is right",
            model => model.Scores.Sampled is { } sampled ? Show.Percent(sampled.PassAt[sampled.Samples]) : null,
            Samples
        ),
        new(
            "maj@k",
            "chance that the most frequent of k sampled answers is right",
            model => model.Scores.Sampled is { } sampled ? Show.Percent(sampled.MajAt[sampled.Samples]) : null,
            Samples
        ),
        new(
            "KL",
            "mean KL divergence from the teacher a token, in nats, on held-out traces, with its 95% interval",
            model => model.Scores.Distribution is { } d ? $"{d.Kl:0.0000}" : null,
            model => model.Scores.Distribution is { } d ? $"{d.KlCi.Low:0.0000}–{d.KlCi.High:0.0000}" : null
        ),
        new("token ECE", "expected calibration error of the most probable next token", model =>
            model.Scores.Distribution is { } d ? $"{d.TokenCalibration.Ece:0.000}" : null
        ),
        new("answer ECE", "expected calibration error of the most frequent of k answers", model =>
            model.Scores.AnswerCalibration is { } answers ? $"{answers.Ece:0.000}" : null
        ),
        new("tokens", "mean length of a greedy answer", model => $"{model.Scores.MeanTokens:0.0}"),
        new("cut off", "share of the greedy answers that reached max_tokens, or whose reasoning never ended", model =>
            Show.Percent(model.Scores.TruncatedShare)
        ),
        new("tokens/s", "generated tokens a second while it was evaluated", model =>
            model.TokensPerSecond is { } speed ? Show.Count(Math.Round(speed)) : null
        ),
    ];

    public static Section? Of(RunFacts run) =>
        run.Evaluations.Count == 0
            ? null
            : new Section(
                "results",
                "Results",
                Html.Join(run.Evaluations.Select(evaluation => Of(evaluation, isOne: run.Evaluations.Count == 1)))
            );

    static Html Of(EvaluationFacts evaluation, bool isOne)
    {
        var shown = Columns.Where(column => evaluation.Listed.Any(model => column.Value(model) is not null)).ToList();
        var head = Html.Of(
            $"""
            <th scope="col">model</th>
            <th scope="col" title="share of the problems whose greedy answer is right, with its 95% Wilson interval">accuracy
            (95% interval)</th>
            {shown.Select(column => Html.Of($"""<th scope="col" title="{column.Meaning}">{column.Head}</th>"""))}
            """
        );
        var rows = evaluation.Listed.Select(model =>
            Html.Of(
                $"""
                <tr><th scope="row">{Section.Chip(model.Name, model.Color)}</th>
                <td><b>{Show.Percent(model.Scores.Accuracy)}</b> <span class="soft under">{Show.Percent(
                    model.Scores.AccuracyCi
                )}</span></td>
                {shown.Select(column => Html.Of($"<td>{column.Value(model) ?? Show.Nothing}{Under(column, model)}</td>"))}</tr>
                """
            )
        );
        var title = isOne ? Html.Empty : Html.Of($"<h3>{evaluation.Stage.Name}</h3>");
        return Html.Of(
            $"""
            {title}<p>{Show.Count(evaluation.Result.N)} problems, the same for every model. Accuracy is that of the greedy answer.{Asked(
                evaluation
            )}{Missing(shown)} {evaluation.NotListed}</p>
            {Section.Table(head, rows)}
            <p class="soft below">{string.Join("; ", shown.Select(column => $"{column.Head}: {column.Meaning}"))}.</p>
            <div class="grid">
            {Section.Figure(AccuracyChart.Overall(evaluation), Html.Of($"Accuracy of the greedy answer with 95% Wilson intervals."))}
            {Sampling(evaluation)}
            </div>
            """
        );
    }

    static Html Sampling(EvaluationFacts evaluation)
    {
        var sampled = evaluation.Drawn.Where(model => model.Scores.Sampled is not null).ToList();
        return sampled.Count == 0
            ? Html.Empty
            : Section.Figure(
                SamplingChart.Draw(sampled),
                Html.Of(
                    $"""
                    Solid: pass@k, at least one of k samples is right. Dashed: maj@k, the most frequent of k answers is. {Show.Count(
                        sampled[0].Scores.Sampled!.N
                    )} problems,
                    temperature {sampled[0].Scores.Sampled!.Temperature:0.##}.
                    """
                )
            );
    }

    static string? Samples(ModelFacts model) => model.Scores.Sampled is { } sampled ? $"k = {sampled.Samples}" : null;

    static Html Under(Column column, ModelFacts model) =>
        column.Under?.Invoke(model) is { } text ? Html.Of($"""<span class="soft under">{text}</span>""") : Html.Empty;

    /// <summary>In which words: a model that was asked otherwise than it was trained shows less than it can.</summary>
    static string Asked(EvaluationFacts evaluation)
    {
        var ways = evaluation
            .Listed.Where(model => model.Scores.Prompt is not null)
            .GroupBy(model => (model.Scores.Prompt, model.Scores.MaxTokens))
            .ToList();
        var told = ways.Select(way =>
            $"{(ways.Count == 1 ? "" : string.Join(", ", way.Select(model => model.Name)) + " ")}with "
            + $"{way.Key.Prompt}, at most {Show.Count(way.Key.MaxTokens ?? 0)} tokens an answer"
        );
        var others = evaluation
            .Listed.Where(model => model.Scores.TrainedOn is not null)
            .Select(model => $" {model.Name} was trained on another prompt: {model.Scores.TrainedOn}.");
        return ways.Count == 0 ? "" : $" Asked {string.Join("; ", told)}.{string.Concat(others)}";
    }

    static string Missing(List<Column> shown) =>
        string.Join(", ", Columns.Except(shown).Select(column => column.Head)) is { Length: > 0 } heads ? $" Not measured: {heads}." : "";
}
