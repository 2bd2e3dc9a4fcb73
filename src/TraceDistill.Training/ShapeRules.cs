using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Objectives.States;

namespace TraceDistill.Training;

/// <summary>Which settings of a training its models' shapes have no room for: known before any data is read.</summary>
public static class ShapeRules
{
    /// <param name="options">Settings.</param>
    /// <param name="student">Shape of the student.</param>
    /// <param name="teacher">Shape of the one model that teaches; null where there is none, or it is not known.</param>
    /// <returns>What is wrong, each with the setting's name.</returns>
    public static IEnumerable<string> Problems(TrainOptions options, ModelConfiguration student, ModelConfiguration? teacher)
    {
        var last = student.NumHiddenLayers - 1;
        if (options.EarlyExits is { } exits && exits.Layers.Max() >= last)
        {
            yield return $"early_exits: layers: {exits.Layers.Max()} is not below the student's last layer, {last}";
        }

        var states = options.ResolveObjectives().Objectives.OfType<StateObjective>().ToList();
        teacher = options.SelfTeacherDecay is null ? teacher : student;
        if (teacher is null || states.Count == 0)
        {
            yield break;
        }

        string[] beyond = [.. states.Select(objective => objective.WhyNot(student, teacher)).OfType<string>()];
        foreach (var problem in beyond)
        {
            yield return problem;
        }

        if (beyond.Length == 0 && Unreached(options, states, student, teacher) is { } idle)
        {
            yield return idle;
        }
    }

    /// <exception cref="InvalidInputException">Something is wrong.</exception>
    internal static void Ensure(TrainOptions options, ModelConfiguration student, ModelConfiguration? teacher)
    {
        if (Problems(options, student, teacher).FirstOrDefault() is { } problem)
        {
            throw new InvalidInputException(problem);
        }
    }

    /// <summary>Finds objectives of states whose layers depend on no trained parameter.</summary>
    /// <returns>Null where a parameter that is trained is among these.</returns>
    static string? Unreached(TrainOptions options, List<StateObjective> states, ModelConfiguration student, ModelConfiguration teacher)
    {
        var isOfTokens = options.ResolveObjectives().OfTokens.Any(objective => objective.Weight.Range.High > 0);
        if (isOfTokens || options.EarlyExits is not null || options.FrozenParameters.Count == 0)
        {
            return null;
        }

        string[] names = [.. ModelParameters.Shapes(student).Select(weight => weight.Name)];
        var highest = states.SelectMany(objective => objective.Pairs(student, teacher)).Max(pair => pair.Student);
        var trained = names.Except(FrozenSelection.Names(options.FrozenParameters, names));
        return trained.Any(name => LayerOf(name) <= highest)
            ? null
            : "objectives: "
                + $"{string.Join(", ", states.Select(objective => objective.Name))} compare{(states.Count == 1 ? "s" : "")} states of "
                + $"layers up to {highest}, and frozen_parameters leaves none of the parameters trainable that these depend on: "
                + "nothing would be learned; compare later layers, freeze fewer parameters, or add cross_entropy";
    }

    /// <summary>The layer that a parameter is of: −1 of what makes its input, above all of what follows the last layer.</summary>
    static int LayerOf(string name) =>
        name.Split('.') is ["model", "layers", var layer, ..] && int.TryParse(layer, out var number) ? number
        : name.Contains("embed_tokens", StringComparison.Ordinal) || ModelParameters.IsOfPictures(name) ? -1
        : int.MaxValue;
}
