using System.ComponentModel;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Recipes;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>run</c>.</summary>
sealed record RunOptions
{
    /// <summary>Description of <c>--plan</c>, which every verb that resumes has too.</summary>
    public const string PlanHelp = "Print what would be done, what is there already and what would fail, and stop";

    [Positional]
    [Description("Recipe, a YAML file of named stages")]
    public required string Recipe { get; init; }

    [Description(PlanHelp)]
    public bool Plan { get; init; }

    [Description("Discard traces that the options or problems no longer ask for; without it they are listed and the run stops")]
    public bool Discard { get; init; }

    [Description("Run these stages alone; the stages that they read from must be finished")]
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <value>None: what the recipe says, as far as there are cores; else auto.</value>
    [Description(
        "Maximum stages, such as trainings, that run at the same time, each in a process with cores of its own: a number, 1 for one "
            + "after another, or auto for as many as cores and memory allow; unless given, as the recipe says, else auto"
    )]
    public JobLimit? Jobs { get; init; }

    [Description("Change the recipe: STAGE.KEY=VALUE for an option, NAME=VALUE for a parameter; can be repeated")]
    public IReadOnlyDictionary<string, string> Set { get; init; } = new Dictionary<string, string>();
}
