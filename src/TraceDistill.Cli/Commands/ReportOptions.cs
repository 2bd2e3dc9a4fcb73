using System.ComponentModel;
using TraceDistill.Cli.Binding;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>report</c>.</summary>
sealed record ReportOptions
{
    /// <value>As a stage, the run that it belongs to.</value>
    [Positional]
    [InputPath]
    [Description("Run directory to report on")]
    public string? Run { get; init; }

    /// <value>kd and ce, as far as the recipe has trainings of these names.</value>
    [Description(
        "Names of trainings, or exports of them, repeated over seeds, that the other ways of training are compared with; kd and ce unless "
            + "given, where trainings have these names and there are three or more"
    )]
    public IReadOnlyList<string> Baselines { get; init; } = [];
}
