using TraceDistill.Evaluation.Statistics;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>Verdict on a difference after the correction for many comparisons.</summary>
enum MethodVerdict
{
    /// <summary>The method is better than the baseline.</summary>
    Helped,

    /// <summary>It is worse.</summary>
    Harmed,

    /// <summary>The seeds do not tell them apart.</summary>
    Undecided,
}

/// <summary>A figure by which ways of training are compared.</summary>
/// <param name="Key">Its name in files; of several evaluations with that of the evaluation before it.</param>
/// <param name="Title">Its name in sentences.</param>
/// <param name="IsShare">True for a share, of which more is better; false for nats, of which fewer are.</param>
/// <param name="Of">Its value of a model of the main evaluation; null where it was not measured.</param>
sealed record MethodMeasure(string Key, string Title, bool IsShare, Func<ModelFacts, double?> Of)
{
    public static MethodMeasure Accuracy { get; } = new("accuracy", "accuracy", true, model => model.Scores.Accuracy);

    public static MethodMeasure Kl { get; } = new("kl", "KL to the teacher", false, model => model.Scores.Distribution?.Kl);

    public static MethodMeasure LmLoss { get; } = new("lm_loss", "LM loss", false, model => model.Scores.Distribution?.CrossEntropy);

    public static IReadOnlyList<MethodMeasure> All { get; } = [Accuracy, Kl, LmLoss];

    /// <summary>The same figure of one of several evaluations of the same models.</summary>
    public MethodMeasure In(EvaluationFacts evaluation)
    {
        var there = evaluation.Models.Where(model => model.IsResult).DistinctBy(StageOf).ToDictionary(StageOf);
        return this with
        {
            Key = $"{evaluation.Stage.Name}.{Key}",
            Title = $"{Title} in {evaluation.Stage.Name}",
            Of = model => there.TryGetValue(StageOf(model), out var same) ? Of(same) : null,
        };

        static string StageOf(ModelFacts model) => model.Stage!.Name;
    }
}

/// <summary>One way of training against a baseline, by one figure.</summary>
/// <param name="Difference">Method minus baseline, paired by seed; its p value is of the paired t test.</param>
/// <param name="HolmP">That p value after Holm's correction over all methods; null for a single seed.</param>
/// <param name="SignFlipP">Exact sign-flip test, as it is; null for a single seed.</param>
/// <param name="BySeed">The differences themselves.</param>
sealed record MethodDifference(
    MethodMeasure Measure,
    string Baseline,
    MeanOverSeeds Difference,
    double? HolmP,
    double? SignFlipP,
    IReadOnlyList<double> BySeed
)
{
    /// <summary>Level of all comparisons of a figure with a baseline together.</summary>
    public const double Level = 0.05;

    public MethodVerdict Verdict =>
        HolmP is not < Level ? MethodVerdict.Undecided
        : Difference.Mean > 0 == Measure.IsShare ? MethodVerdict.Helped
        : MethodVerdict.Harmed;
}

/// <summary>One way of training, over all of its seeds.</summary>
/// <param name="Name">The stage of the recipe.</param>
/// <param name="Color">Index of its colour.</param>
/// <param name="Figures">By each measure of the comparison.</param>
/// <param name="Differences">From each baseline but itself by each measure, as far as there are common seeds.</param>
sealed record Method(
    string Name,
    int Color,
    IReadOnlyDictionary<MethodMeasure, MeanOverSeeds> Figures,
    IReadOnlyList<MethodDifference> Differences
)
{
    /// <summary>Null where it is that baseline itself.</summary>
    public MethodDifference? Against(string baseline, MethodMeasure measure) =>
        Differences.FirstOrDefault(difference => difference.Baseline == baseline && difference.Measure == measure);
}

/// <summary>Ways of training that evaluations compare over the same seeds, each with one or two baselines.</summary>
/// <param name="Evaluations">The main one first, and others that all ways of training stand in.</param>
/// <param name="Baselines">Names of methods.</param>
/// <param name="Measures">
/// Accuracy, and KL to the teacher and the loss on its tokens where they were measured of all; of each evaluation.
/// </param>
/// <param name="Methods">The most accurate of the main evaluation first.</param>
/// <param name="Seeds">Most seeds of a method.</param>
sealed record MethodComparison(
    IReadOnlyList<EvaluationFacts> Evaluations,
    IReadOnlyList<string> Baselines,
    IReadOnlyList<MethodMeasure> Measures,
    IReadOnlyList<Method> Methods,
    int Seeds
)
{
    /// <summary>Two ways of training are one comparison, which needs no table unless the user asks for one.</summary>
    const int FewestMethods = 3;

    /// <summary>Names of baselines where none are given: plain distillation and supervised fine-tuning.</summary>
    static readonly string[] UsualBaselines = ["kd", "ce"];

    /// <summary>
    /// The comparison of the run's main evaluation, and others of the same models; null where it has not three ways of training over seeds
    /// (with given baselines two), or none of them is a baseline.
    /// </summary>
    /// <param name="baselines">Names of stages; <c>kd</c> and <c>ce</c>, as far as they exist, where it is empty.</param>
    /// <exception cref="InvalidInputException">A given baseline is none of the ways of training.</exception>
    public static MethodComparison? Find(RunFacts run, IReadOnlyList<string> baselines)
    {
        var families = run.Main is { } main ? Ablation.Families(main.Models) : [];
        var names = families.Select(NameOf).ToList();
        foreach (var unknown in baselines.Except(names))
        {
            throw new InvalidInputException(
                $"baselines: {unknown} is no training, or export of one, that a matrix repeats over seeds and an evaluation measured; "
                    + (names.Count == 0 ? "leave baselines out" : NearestName.Suggestion(unknown, names))
            );
        }

        var known = baselines.Count > 0 ? baselines.Distinct().ToList() : [.. UsualBaselines.Intersect(names)];
        if (known.Count == 0 || families.Count < (baselines.Count > 0 ? FewestMethods - 1 : FewestMethods))
        {
            return null;
        }

        // Every evaluation knows the accuracy of its models.
        EvaluationFacts[] evaluations =
        [
            run.Main!,
            .. run.Evaluations.Where(evaluation => evaluation != run.Main && IsOfAll(MethodMeasure.Accuracy.In(evaluation))),
        ];
        List<MethodMeasure> measures =
        [
            .. from evaluation in evaluations
            from figure in MethodMeasure.All
            select evaluations.Length == 1 ? figure : figure.In(evaluation) into measure
            where IsOfAll(measure)
            select measure,
        ];
        var differences = (
            from baseline in known
            from measure in measures
            from difference in Differences(run, families, families[names.IndexOf(baseline)], measure)
            select difference
        ).ToLookup(difference => difference.Method, difference => difference.Found);
        return new MethodComparison(
            evaluations,
            known,
            measures,
            [
                .. families
                    .Select(copies => new Method(
                        NameOf(copies),
                        copies[0].Color,
                        measures.ToDictionary(
                            measure => measure,
                            measure => Ablation.Compare(run, copies, copies, model => measure.Of(model)!.Value).OverallFirst
                        ),
                        [.. differences[NameOf(copies)]]
                    ))
                    .OrderByDescending(method => method.Figures[measures[0]].Mean),
            ],
            families.Max(copies => Ablation.Compare(run, copies, copies, _ => 0).Seeds)
        );

        bool IsOfAll(MethodMeasure measure) => families.All(copies => copies.All(model => measure.Of(model) is not null));
    }

    /// <summary>All methods against one baseline by one figure: one family of tests, corrected together.</summary>
    static IEnumerable<(string Method, MethodDifference Found)> Differences(
        RunFacts run,
        IReadOnlyList<IReadOnlyList<ModelFacts>> families,
        IReadOnlyList<ModelFacts> baseline,
        MethodMeasure measure
    )
    {
        var compared = families
            .Where(copies => copies != baseline)
            .Select(copies => Ablation.Compare(run, copies, baseline, model => measure.Of(model)!.Value))
            .Where(ablation => ablation.Pairs.Count > 0)
            .ToList();
        var tested = compared.Where(ablation => ablation.Overall.PValue is not null).ToList();
        var corrected = Holm.Adjust([.. tested.Select(ablation => ablation.Overall.PValue!.Value)]);
        return compared.Select(ablation =>
            (
                ablation.First,
                new MethodDifference(
                    measure,
                    ablation.Second,
                    ablation.Overall,
                    tested.IndexOf(ablation) is >= 0 and var place ? corrected[place] : null,
                    ablation.SignFlip,
                    ablation.BySeed
                )
            )
        );
    }

    static string NameOf(IReadOnlyList<ModelFacts> copies) => copies[0].Stage!.Family;
}
