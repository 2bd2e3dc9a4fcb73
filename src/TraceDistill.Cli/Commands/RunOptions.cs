using System.ComponentModel;
using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>run</c>.</summary>
sealed record RunOptions
{
    [Positional]
    [Description("The recipe, a YAML file of named stages")]
    public required string Recipe { get; init; }

    [Description("Print the plan and stop")]
    public bool Plan { get; init; }

    [Description("Give up traces that a changed recipe does not ask for any more; without it they are named and the run ends")]
    public bool Discard { get; init; }

    [Description("Run these stages alone; what they read must be finished")]
    public IReadOnlyList<string> Only { get; init; } = [];

    [Description("Change the recipe: STAGE.KEY=VALUE for an option, NAME=VALUE for a parameter; can be repeated")]
    public IReadOnlyDictionary<string, string> Set { get; init; } = new Dictionary<string, string>();
}
