using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Statistics;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Calibration: whether models know what they know.</summary>
static class CalibrationSection
{
    public static Section? Of(RunFacts run)
    {
        var parts = run.Evaluations.SelectMany(Of).ToList();
        return run.Evaluations.Count == 0
            ? null
            : new Section(
                "calibration",
                "Calibration",
                parts.Count == 0
                    ? Section.Absent(
                        "No confidence was measured: evaluate with samples for whole answers, and with held-out traces for tokens."
                    )
                    : Html.Of(
                        $"""
                        <p>A point on the dashed line was as sure as it should be; below it the model was too sure. Larger
                        points stand for more predictions.</p>
                        <div class="grid">{parts}</div>
                        """
                    )
            );
    }

    static IEnumerable<Html> Of(EvaluationFacts evaluation)
    {
        var tokens = evaluation.Drawn.Where(model => model.Scores.Distribution is not null).ToList();
        if (tokens.Count > 0)
        {
            yield return Draw(
                "the most probable token",
                tokens,
                model => model.Scores.Distribution!.TokenCalibration,
                Html.Of(
                    $"Next tokens on {Show.Count(tokens[0].Scores.Distribution!.Traces)} "
                        + $"held-out traces of the teacher ({evaluation.Stage.Name})."
                )
            );
        }

        var answers = evaluation.Drawn.Where(model => model.Scores.AnswerCalibration is not null).ToList();
        if (answers.Count > 0)
        {
            yield return Draw(
                "the answer",
                answers,
                model => model.Scores.AnswerCalibration!,
                Html.Of(
                    $"Whole answers ({evaluation.Stage.Name}); confidence is the share of samples that agree with the most frequent answer."
                )
            );
        }
    }

    static Html Draw(string what, List<ModelFacts> models, Func<ModelFacts, ReliabilityCurve> curve, Html caption) =>
        Html.Of(
            $"""
            <div>{Section.Legend(models)}
            {Section.Figure(
                CalibrationChart.Draw(what, [.. models.Select(model => (model.Name, model.Color, curve(model)))]),
                caption
            )}</div>
            """
        );
}
