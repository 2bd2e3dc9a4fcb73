using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Evaluation;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Results in a few sentences with numbers. It claims no more than the intervals allow.</summary>
static class Headline
{
    public static Html Of(RunFacts run)
    {
        var ablations = Ablation.Find(run);
        Html[] sentences =
        [
            .. run.Methods is { } methods ? Methods(methods) : ablations.Select(Sentence),
            .. run.Main is { } evaluation && (ablations.Count == 0 || evaluation.Student is not null) ? Models(evaluation) : [],
        ];
        return Html.Of($"""<div class="headline">{(sentences.Length == 0 ? [Nothing(run)] : sentences)}</div>""");
    }

    static IEnumerable<Html> Methods(MethodComparison comparison) =>
        MethodWords
            .Findings(comparison, comparison.Baselines[0], isBrief: true)
            .Select(finding => Html.Of($"<p>{finding}</p>"))
            .Append(
                Html.Of(
                    $"""
                    <p class="soft">{comparison.Methods.Count} ways of training over {comparison.Seeds} {(
                        comparison.Seeds == 1 ? "seed" : "seeds"
                    )}, paired by seed, corrected for
                    the number of comparisons.</p>
                    """
                )
            );

    static Html Nothing(RunFacts run) =>
        run.Traces.Count > 0
            ? Html.Join(
                run.Traces.Select(traces =>
                    Html.Of(
                        $"<p><b>{traces.Stage.Name}</b> holds <b>{Show.Count(traces.Count)}</b> traces of "
                            + $"{traces.Teacher}, {Show.Large(traces.Tokens)} tokens. No model was evaluated.</p>"
                    )
                )
            )
            : Html.Of(
                $"<p>{run.Stages.Count} {(run.Stages.Count == 1 ? "stage is" : "stages are")} "
                    + $"finished and none of them is an evaluation, so there is no result yet.</p>"
            );

    static IEnumerable<Html> Models(EvaluationFacts evaluation)
    {
        if (evaluation.Student is not { } student)
        {
            yield return Alone(evaluation.Models.MaxBy(model => model.Scores.Accuracy)!);
            yield break;
        }

        yield return evaluation.Teacher is { } teacher ? AgainstTeacher(student, teacher) : Alone(student);
        if (evaluation.Baseline is { } baseline && evaluation.Compare(student, baseline) is { } comparison)
        {
            yield return AgainstBaseline(student, baseline, comparison);
        }
    }

    static Html Alone(ModelFacts model) =>
        Html.Of(
            $"<p><b>{model.Name}</b> solves <b>{Show.Percent(model.Scores.Accuracy)}</b> of "
                + $"{Show.Count(model.Scores.N)} problems (95% interval {Show.Percent(model.Scores.AccuracyCi)}).</p>"
        );

    static Html AgainstTeacher(ModelFacts student, ModelFacts teacher)
    {
        var ratio =
            teacher.Scores.Accuracy > 0
                ? Html.Of(
                    $"<b>{Show.Percent(student.Scores.Accuracy / teacher.Scores.Accuracy)}</b> "
                        + $"of what {teacher.Name} solves ({Show.Percent(teacher.Scores.Accuracy)})"
                )
                : Html.Of($"{teacher.Name} solves none");
        var size =
            student.Scores.Parameters is { } small && teacher.Scores.Parameters is { } large
                ? Html.Of($", with {Show.Percent((double)small / large)} of its parameters ({Show.Large(small)} of {Show.Large(large)})")
                : Html.Empty;
        return Html.Of(
            $"""
            <p><b>{student.Name}</b> solves <b>{Show.Percent(student.Scores.Accuracy)}</b> of {Show.Count(student.Scores.N)} problems
            (95% interval {Show.Percent(student.Scores.AccuracyCi)}): {ratio}{size}.</p>
            """
        );
    }

    static Html AgainstBaseline(ModelFacts student, ModelFacts baseline, Comparison comparison)
    {
        var isOfSoftTargets = student.Stage!.AddsSoftTargetsTo(baseline.Stage!);
        var which = isOfSoftTargets ? "trained in the same way but without soft targets" : "which has the same size";
        return Html.Of(
            $"""
            <p>On the same problems {student.Name} minus {baseline.Name}, {which}, is <b>{Show.Points(comparison.Difference)} points</b>
            (95% interval over problems {Show.Points(comparison.DifferenceCi)}). {ByFamily(student, baseline)}</p>
            {OnePair(isOfSoftTargets)}
            """
        );
    }

    /// <summary>Remark on what one pair of trainings cannot show: an interval over problems takes both as they came out.</summary>
    static Html OnePair(bool isOfSoftTargets) =>
        Html.Of(
            $"""
            <p class="soft">That is one pair of trainings. It shows how these two models differ, and not {(
                isOfSoftTargets ? "what soft targets are worth" : "which way of training is better"
            )}:
            trainings of one recipe with other seeds, or on a processor with another precision, came out up to {SeedSpread} points
            apart in this program's own quickstart, and the interval over problems has none of that. To know, repeat both over
            {Ablation.EnoughSeeds} seeds or more: matrix: {"{"} seed: [1, 2, 3, 4, 5, 6, 7, 8] {"}"} in both stages.</p>
            """
        );

    /// <summary>In points, as measured: greedy accuracy of the quickstart's student over the seeds 7 to 10.</summary>
    const string SeedSpread = "10";

    /// <summary>Where the student is not ahead must not be left for the reader to find.</summary>
    static Html ByFamily(ModelFacts student, ModelFacts baseline)
    {
        var differences = student
            .Scores.Families.Where(family => baseline.Scores.Families.ContainsKey(family.Key))
            .Select(family => (Name: family.Key, Difference: family.Value.Accuracy - baseline.Scores.Families[family.Key].Accuracy))
            .OrderBy(family => family.Difference)
            .ToList();
        var behind = differences
            .Where(family => family.Difference < 0)
            .Select(family => $"{family.Name} ({Show.Points(family.Difference)})")
            .ToList();
        var level = differences.Where(family => family.Difference == 0).Select(family => family.Name).ToList();
        string[] parts =
        [
            $"By problem family {student.Name} is ahead in {differences.Count - behind.Count - level.Count} of {differences.Count}",
            .. behind.Count == 0 ? [] : new[] { $"behind in {string.Join(", ", behind)}" },
            .. level.Count == 0 ? [] : new[] { $"level in {string.Join(", ", level)}" },
        ];
        return differences.Count < 2 ? Html.Empty : Html.Of($"{string.Join(", ", parts)}.");
    }

    static Html Sentence(Ablation ablation)
    {
        var overall = ablation.Overall;
        var unsure = ablation
            .Conditions.Where(condition => condition.Difference.Interval is not { Low: > 0 })
            .Select(condition => condition.Name)
            .ToList();
        var where =
            ablation.Conditions.Count < 2 || unsure.Count == 0
                ? Html.Empty
                : Html.Of($" Taken alone it is not shown to be above zero with {string.Join("; ", unsure)}.");
        var overSeeds =
            overall.Interval is { } ci && ablation.SignFlip is { } p
                ? $" (95% interval over {ablation.Seeds} seeds {Show.Points(ci)}; exact sign-flip test, {Show.PEquals(p)})"
                : "";
        var few =
            ablation.Seeds >= Ablation.EnoughSeeds
                ? ""
                : $" {(ablation.Seeds == 1 ? "One seed is" : $"{ablation.Seeds} seeds are")} few: "
                    + $"{Ablation.EnoughSeeds} or more make a finding.";
        return Html.Of(
            $"""
            <p>{Verdict(ablation, overall.Interval is { } known && (known.Low > 0 || known.High < 0))} Over {ablation.Pairs.Count} {(
                ablation.Pairs.Count == 1 ? "pair" : "pairs"
            )} of
            trainings in {ablation.Conditions.Count} {(
                ablation.Conditions.Count == 1 ? "condition" : "conditions"
            )}, {ablation.First} minus {ablation.Second} is
            <b>{Show.Points(overall.Mean)} points</b>{overSeeds}.{few}{where}</p>
            """
        );
    }

    /// <summary>The answer in a few words, where the question is what soft targets are worth.</summary>
    static Html Verdict(Ablation ablation, bool isShown) =>
        (ablation.IsOfSoftTargets, isShown, ablation.Seeds >= Ablation.EnoughSeeds, ablation.Overall.Mean > 0) switch
        {
            (false, _, _, _) => Html.Empty,
            (_, false, _, _) => Html.Of($"<b>Soft targets are not shown to help.</b>"),
            (_, _, false, true) => Html.Of($"<b>Soft targets are ahead, over few seeds.</b>"),
            (_, _, false, false) => Html.Of($"<b>Soft targets are behind, over few seeds.</b>"),
            (_, _, _, true) => Html.Of($"<b>Soft targets help.</b>"),
            _ => Html.Of($"<b>Soft targets do harm.</b>"),
        };
}
