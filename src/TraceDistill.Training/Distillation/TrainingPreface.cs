using TraceDistill.Data.Contracts;
using TraceDistill.Models;
using TraceDistill.Models.Native;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Distillation;

/// <summary>Messages of a training before its first step.</summary>
static class TrainingPreface
{
    /// <param name="options">Settings.</param>
    /// <param name="trained">The student.</param>
    /// <param name="data">What it learns from.</param>
    /// <param name="heldOut">Sequences that it is evaluated on.</param>
    /// <param name="answers">Problems that it answers; null for none.</param>
    /// <returns>A line each.</returns>
    public static IEnumerable<string> Of(TrainOptions options, TrainedWeights trained, TrainingSet data, int heldOut, int? answers)
    {
        var shape = trained.Model.Configuration;
        var part = trained.Count == trained.Total ? "" : $"{trained.Count:N0} of ";
        yield return $"training {part}{trained.Total:N0} parameters on {Counted.Of(data.Count, "sequence")}"
            + $" (left out: {data.Unfinished} unfinished, {data.NotCorrect} not correct, {data.TooLong} too long)"
            + (heldOut > 0 ? $", evaluating on {Counted.Of(heldOut, "held-out sequence")}" : "")
            + (answers is { } problems ? $", answering {Counted.Of(problems, "problem")} every {options.EvalSteps:N0} steps" : "");
        if (data.Survival is { } left)
        {
            yield return FormattableString.Invariant(
                $"soft-target coverage after alignment: {left.Positions:P1} of {left.Tokens:N0} trained tokens, "
            ) + FormattableString.Invariant($"with {left.Mass:P1} of the probability reported for them");
        }

        if (TrainingTeachers.Describe(options) is { } several)
        {
            yield return several;
        }

        if (options.Blocks(shape) is { } blocks)
        {
            yield return $"training for {blocks}";
            if (options.RoundsBlocks(options.Device.Resolve()))
            {
                yield return OptimizationOptions.BlocksAreRounded;
            }
        }

        if (options.Curriculum is { } curriculum)
        {
            yield return FormattableString.Invariant(
                $"curriculum: the easiest {curriculum.ShareAt(0, options.MaxSteps):P1} of the sequences "
            ) + FormattableString.Invariant($"at first, all from step {Math.Ceiling(curriculum.Until * options.MaxSteps):N0} on");
        }

        foreach (var line in data.Remarks)
        {
            yield return line;
        }

        if (shape.Pictures is { } encoder)
        {
            yield return $"the student looks at {encoder.Text}";
        }
        else if (options.Pictures.Count > 0)
        {
            yield return "pictures: the student has no picture_encoder, and reads the text; they are not looked at";
        }

        string[] within =
        [
            .. options
                .ResolveObjectives()
                .Objectives.Where(objective => objective is AttentionMaps or ValueRelations)
                .Select(objective => objective.Name),
        ];
        if (options.GradientCheckpointing && within.Length > 0)
        {
            yield return $"gradient_checkpointing: layers that {string.Join(" and ", within)} compare keep their activations";
        }
    }
}
