using System.ComponentModel;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Recipes;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>run</c>.</summary>
sealed record RunOptions
{
    [Positional]
    [Description("The recipe, a YAML file of named stages")]
    public required string Recipe { get; init; }

    [Description("Print the plan and stop")]
    public bool Plan { get; init; }

    [Description("Discard traces that a changed recipe no longer asks for; without it they are listed and the run stops")]
    public bool Discard { get; init; }

    [Description("Run these stages alone; what they read must be finished")]
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <value>None: what the recipe says, as far as there are cores; else auto.</value>
    [Description(
        "Stages such as trainings that run at the same time, each in a process with its share of the cores: a number, 1 for one "
            + "after another, or auto for as many as cores and memory allow; what the recipe says unless given, else auto"
    )]
    public JobLimit? Jobs { get; init; }

    [Description("Change the recipe: STAGE.KEY=VALUE for an option, NAME=VALUE for a parameter; can be repeated")]
    public IReadOnlyDictionary<string, string> Set { get; init; } = new Dictionary<string, string>();
}
