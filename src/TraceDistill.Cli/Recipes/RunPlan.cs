using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Stages;

namespace TraceDistill.Cli.Recipes;

/// <summary>Plan of a recipe: its stages in the order in which they run.</summary>
/// <param name="Name">The recipe's name.</param>
/// <param name="Path">The recipe's file, as messages name it.</param>
/// <param name="Jobs">Number of stages that run side by side; null where the recipe does not say.</param>
/// <param name="Stages">Every stage stands after those that it reads.</param>
sealed record RunPlan(string Name, string Path, JobLimit? Jobs, IReadOnlyList<PlannedStage> Stages);

/// <summary>One stage with everything decided but the contents of what it reads.</summary>
sealed record PlannedStage
{
    /// <summary>Its folder in the run directory.</summary>
    public required string Name { get; init; }

    /// <summary>The name under which it is written in the recipe.</summary>
    public required string Family { get; init; }

    public required IVerb Verb { get; init; }

    /// <summary>
    /// The options with stage references as they stand in a recipe: what the fingerprint and the resolved recipe are made from.
    /// </summary>
    public required ConfigMap Settings { get; init; }

    /// <summary>The options with full paths in place of those references: what the command of the verb takes.</summary>
    public required ConfigMap Arguments { get; init; }

    /// <summary>The verb's options record, made from <see cref="Arguments"/>.</summary>
    public required object Options { get; init; }

    public required IReadOnlyList<StageInput> Inputs { get; init; }

    /// <summary>Names of the stages that must be finished first.</summary>
    public required IReadOnlyList<string> DependsOn { get; init; }

    /// <inheritdoc cref="IVerb.RunsBesideOthers"/>
    public bool RunsBesideOthers => Verb.RunsBesideOthers(Options);
}
