using System.Text.Json;
using TraceDistill.Training.Objectives;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>Every objective of a recipe, by its key, at its defaults.</summary>
static class KnownObjectives
{
    public static IReadOnlyDictionary<string, TokenObjective> All { get; } =
        typeof(ObjectiveChoice)
            .GetProperties()
            .Where(property => property.PropertyType.IsAssignableTo(typeof(TokenObjective)))
            .ToDictionary(
                property => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name),
                property => (TokenObjective)Activator.CreateInstance(property.PropertyType)!
            );

    public static ObjectiveChoice Choice(Objective objective)
    {
        var choice = new ObjectiveChoice();
        typeof(ObjectiveChoice)
            .GetProperties()
            .Single(property => property.PropertyType == objective.GetType())
            .SetValue(choice, objective);
        return choice;
    }

    public static ObjectiveChoice Choice(string key) => Choice(All[key]);
}
