using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>What came out, in a few sentences with numbers. It claims no more than the intervals allow.</summary>
static class Headline
{
    const double Significance = 0.05;

    public static Html Of(RunFacts run)
    {
        var ablations = Ablation.Find(run);
        Html[] sentences = [.. ablations.Select(Sentence), .. run.Main is { } evaluation && (ablations.Count == 0 || evaluation.Student is not null) ? Models(evaluation) : []];
        return Html.Of($"""<div class="headline">{(sentences.Length == 0 ? [Nothing(run)] : sentences)}</div>""");
    }

    static Html Nothing(RunFacts run) => Html.Of(
        $"<p>{run.Stages.Count} {(run.Stages.Count == 1 ? "stage is" : "stages are")} finished and none of them is an evaluation, so there is no result to tell yet.</p>");

    static IEnumerable<Html> Models(EvaluationFacts evaluation)
    {
        if (evaluation.Student is not { } student)
        {
            var best = evaluation.Models.MaxBy(model => model.Scores.Accuracy)!;
            yield return Html.Of($"<p><b>{best.Name}</b> solves <b>{Show.Percent(best.Scores.Accuracy)}</b> of {Show.Count(best.Scores.N)} problems (95% interval {Show.Percent(best.Scores.AccuracyCi)}).</p>");
            yield break;
        }

        yield return evaluation.Teacher is { } teacher ? AgainstTeacher(student, teacher) : Alone(student);
        if (evaluation.Baseline is { } baseline && evaluation.Compare(student, baseline) is { } comparison)
        {
            var verdict = (comparison.PValue < Significance, comparison.Difference > 0) switch
            {
                (false, _) => Html.Of($"is not distinguishable from"),
                (true, true) => Html.Of($"is <b>better</b> than"),
                (true, false) => Html.Of($"is <b>worse</b> than"),
            };
            yield return Html.Of($"""
                <p>On the same problems {student.Name} {verdict} {baseline.Name}, which has the same size: <b>{Show.Points(comparison.Difference)} points</b>
                (95% interval {Show.Points(comparison.DifferenceCi)}; exact McNemar test p {PValue(comparison.PValue)}).</p>
                """);
        }
    }

    static Html Alone(ModelFacts student) => Html.Of(
        $"<p><b>{student.Name}</b> solves <b>{Show.Percent(student.Scores.Accuracy)}</b> of {Show.Count(student.Scores.N)} problems (95% interval {Show.Percent(student.Scores.AccuracyCi)}).</p>");

    static Html AgainstTeacher(ModelFacts student, ModelFacts teacher)
    {
        var ratio = teacher.Scores.Accuracy > 0 ? Html.Of($"<b>{Show.Percent(student.Scores.Accuracy / teacher.Scores.Accuracy)}</b> of what {teacher.Name} solves ({Show.Percent(teacher.Scores.Accuracy)})") : Html.Of($"{teacher.Name} solves none");
        var size = student.Scores.Parameters is { } small && teacher.Scores.Parameters is { } large
            ? Html.Of($", with {Show.Percent((double)small / large)} of its parameters ({Show.Large(small)} of {Show.Large(large)})")
            : Html.Empty;
        return Html.Of($"""
            <p><b>{student.Name}</b> solves <b>{Show.Percent(student.Scores.Accuracy)}</b> of {Show.Count(student.Scores.N)} problems
            (95% interval {Show.Percent(student.Scores.AccuracyCi)}): {ratio}{size}.</p>
            """);
    }

    static Html Sentence(Ablation ablation)
    {
        var overall = ablation.Overall;
        var interval = overall.Interval is { } ci ? Html.Of($"95% interval {Show.Points(ci)}; ") : Html.Empty;
        return Html.Of($"""
            <p>Over {ablation.Pairs.Count} pairs of trainings in {ablation.Conditions.Count} {(ablation.Conditions.Count == 1 ? "condition" : "conditions")}, {ablation.First} minus {ablation.Second}
            is <b>{Show.Points(overall.Mean)} points</b> ({interval}exact sign-flip test p {PValue(ablation.SignFlip)}).</p>
            """);
    }

    static string PValue(double p) => Show.PValue(p) is ['<', ..] small ? small : $"= {Show.PValue(p)}";
}
