using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>A training's log.</summary>
/// <param name="Name">The stage as the recipe has it; copies of a matrix share it.</param>
/// <param name="Color">Index of the colour of the model that it made.</param>
/// <param name="Lines">By step.</param>
sealed record Training(string Name, int Color, IReadOnlyList<MetricsLine> Lines)
{
    const string Loss = "loss";

    /// <summary>Stages with metrics, coloured like the models they made; copies of a matrix share name and colour.</summary>
    public static IReadOnlyList<Training> Of(RunFacts run)
    {
        var models = run.Evaluations.SelectMany(evaluation => evaluation.Models).ToList();
        var colors = models
            .Where(model => model.IsResult)
            .DistinctBy(model => model.Stage!.Family)
            .ToDictionary(model => model.Stage!.Family, model => model.Color);
        var next = models.Select(model => model.Color).DefaultIfEmpty(-1).Max() + 1;
        var families = run.Stages.DistinctBy(stage => stage.Name).ToDictionary(stage => stage.Name, stage => stage.Family);
        var found = new List<Training>();
        foreach (
            var lines in run
                .Metrics.GroupBy(line => line.Stage)
                .Where(lines => lines.Any(line => line.Values.Keys.Any(key => key.Contains(Loss, StringComparison.Ordinal))))
        )
        {
            var family = families.GetValueOrDefault(lines.Key, lines.Key);
            if (!colors.TryGetValue(family, out var color))
            {
                colors[family] = color = next++;
            }

            found.Add(new Training(family, color, [.. lines]));
        }

        return found;
    }

    /// <summary>Of the copies that a matrix made, the first.</summary>
    public static IReadOnlyList<Training> OneOfEach(IEnumerable<Training> trainings) =>
        [.. trainings.DistinctBy(training => training.Name)];
}
