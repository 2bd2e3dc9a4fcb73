using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
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

    /// <summary>Most jobs that can be asked for.</summary>
    public const int MostJobs = 64;

    /// <value>None: what the recipe says, as far as there are cores; else 1.</value>
    [Range(1, MostJobs, ErrorMessage = "must be from 1 to 64")]
    [Description("Trainings that run at the same time; what the recipe says unless given")]
    public int? Jobs { get; init; }

    [Description("Change the recipe: STAGE.KEY=VALUE for an option, NAME=VALUE for a parameter; can be repeated")]
    public IReadOnlyDictionary<string, string> Set { get; init; } = new Dictionary<string, string>();
}
