using TraceDistill.Evaluation;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>One evaluation of a run, with what is known of its models.</summary>
sealed record EvaluationFacts
{
    /// <summary>Drawings of more single models than this cannot be read.</summary>
    const int Drawable = 6;

    public required StageFacts Stage { get; init; }

    public required EvaluationResult Result { get; init; }

    public required IReadOnlyList<ModelFacts> Models { get; init; }

    /// <summary>The model the others learned from: the first that this run did not train.</summary>
    public ModelFacts? Teacher => Models.FirstOrDefault(model => model.Stage is null);

    /// <summary>The first model that this run trained.</summary>
    public ModelFacts? Student => Models.FirstOrDefault(model => model.IsSingleResult);

    /// <summary>The next one of the same size: trained otherwise, so that the two compare the ways of training.</summary>
    public ModelFacts? Baseline =>
        Models.FirstOrDefault(model => model.IsSingleResult && model != Student && model.Scores.Parameters == Student?.Scores.Parameters);

    /// <summary>
    /// The models that stand in tables: all, or of more than an evaluation compares pair by pair the first of the copies that a matrix
    /// made.
    /// </summary>
    public IReadOnlyList<ModelFacts> Listed =>
        Models.Count <= Evaluator.MostCompared ? Models : [.. Models.GroupBy(model => model.Color).Select(copies => copies.First())];

    /// <summary>A sentence on the models that <see cref="Listed"/> leaves out, for tables; empty where it leaves none out.</summary>
    public string NotListed =>
        Listed.Count == Models.Count ? "" : $"Of the copies that a matrix made, the first is shown; {EvaluationResult.FileName} has all.";

    /// <summary>
    /// The models that stand in drawings of details: not the starts of trainings, which would squeeze all others into a corner, and of the
    /// copies that a matrix made only the last.
    /// </summary>
    public IReadOnlyList<ModelFacts> Drawn
    {
        get
        {
            var finished = Models.Where(model => model.Stage is null || model.IsResult).ToList();
            return finished.Count <= Drawable
                ? finished
                : [.. finished.GroupBy(model => model.Color).Select(copies => copies.Last()).Take(Drawable)];
        }
    }

    /// <summary>Models that <see cref="Drawn"/> leaves out, to be said beside the drawings; empty where it is nothing.</summary>
    public string NotDrawn =>
        Models.Any(model => model.IsResult && !Drawn.Contains(model)) ? "Of the copies that a matrix made, only the last is drawn." : "";

    /// <summary>The comparison of two models, whichever way round it was made; null where there is none.</summary>
    public Comparison? Compare(ModelFacts first, ModelFacts second) =>
        Result
            .Comparisons.Select(comparison =>
                comparison.First == second.Name && comparison.Second == first.Name ? Reverse(comparison) : comparison
            )
            .FirstOrDefault(comparison => comparison.First == first.Name && comparison.Second == second.Name);

    static Comparison Reverse(Comparison comparison) =>
        new(
            comparison.Second,
            comparison.First,
            -comparison.Difference,
            new(-comparison.DifferenceCi.High, -comparison.DifferenceCi.Low),
            comparison.OnlySecond,
            comparison.OnlyFirst,
            comparison.PValue,
            comparison.N
        );
}
