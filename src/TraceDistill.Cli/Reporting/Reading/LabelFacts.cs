using System.Text.Json;
using TraceDistill.Cli.Labelling;
using TraceDistill.Data.Files;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>One stage that measured classifiers.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Result">What it found.</param>
/// <param name="Ways">Models by the training that made them: copies of a matrix are one way.</param>
sealed record LabelFacts(StageFacts Stage, LabelResult Result, IReadOnlyList<ClassifierWay> Ways)
{
    /// <returns>Null where the stage measured none.</returns>
    /// <exception cref="InvalidInputException">Its file is damaged.</exception>
    public static LabelFacts? Read(StageFacts stage, IReadOnlyList<StageFacts> stages)
    {
        var path = Path.Combine(stage.Folder, LabelResult.FileName);
        if (stage.Verb != "label" || !File.Exists(path))
        {
            return null;
        }

        try
        {
            var result = JsonFile.Read<LabelResult>(path);
            return new LabelFacts(stage, result, WaysOf(result));
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{path}: not the result of a labelling; run the stage again", error);
        }

        List<ClassifierWay> WaysOf(LabelResult result)
        {
            var models = result.Models.Select(model => (Origin: OriginOf(model.Key), Scores: model.Value)).ToList();
            return
            [
                .. models
                    .GroupBy(model => (model.Origin.Family, model.Origin.Folder))
                    .Select(way => new ClassifierWay(
                        // Which folder of a training it is says something where there are several.
                        models.Any(other => other.Origin.Family == way.Key.Family && other.Origin.Folder != way.Key.Folder)
                        && way.Key.Folder.Length > 0
                            ? $"{way.Key.Family}/{way.Key.Folder}"
                            : way.Key.Family,
                        [.. way.Select(model => (model.Origin.Copy, model.Scores))]
                    )),
            ];
        }

        // A model that no stage of the run made is a way of its own, by its name.
        (string Family, string Folder, string Copy) OriginOf(string model)
        {
            var source = stage.Settings.GetValueOrDefault($"models.{model}") ?? stage.Settings.GetValueOrDefault("model") ?? "";
            return source.Split('/', 2) is [var name, .. var folder] && stages.FirstOrDefault(other => other.Name == name) is { } maker
                ? (maker.Family, folder is [var inside] ? inside : "", maker.Copy)
                : (model, "", "");
        }
    }
}

/// <summary>A way of training classifiers, over its seeds.</summary>
/// <param name="Name">The stage as the recipe has it, or a single model's name.</param>
/// <param name="Copies">Of each copy of a matrix what tells it apart, and its figures.</param>
sealed record ClassifierWay(string Name, IReadOnlyList<(string Copy, ClassifierScores Scores)> Copies)
{
    /// <summary>Mean of a figure with its t interval over the copies.</summary>
    public MeanOverSeeds Mean(Func<ClassifierScores, double> figure) => MeanOverSeeds.Of([.. Copies.Select(copy => figure(copy.Scores))]);

    /// <summary>Differences of accuracy from another way, copy by copy; empty where they have no copies in common.</summary>
    public double[] DifferencesFrom(ClassifierWay other) =>
        [
            .. Copies.Join(
                other.Copies,
                mine => mine.Copy,
                theirs => theirs.Copy,
                (mine, theirs) => mine.Scores.Accuracy - theirs.Scores.Accuracy
            ),
        ];
}
