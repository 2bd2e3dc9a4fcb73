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
            return new LabelFacts(
                stage,
                result,
                [
                    .. result
                        .Models.Select(model => (Maker: MakerOf(model.Key), Name: model.Key, Scores: model.Value))
                        .GroupBy(model => model.Maker?.Family ?? model.Name)
                        .Select(way => new ClassifierWay(way.Key, [.. way.Select(model => (model.Maker?.Copy ?? "", model.Scores))])),
                ]
            );
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{path}: not the result of a labelling; run the stage again", error);
        }

        StageFacts? MakerOf(string model)
        {
            var source = stage.Settings.GetValueOrDefault($"models.{model}") ?? stage.Settings.GetValueOrDefault("model") ?? "";
            return stages.FirstOrDefault(other => other.Name == source.Split('/')[0]);
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
