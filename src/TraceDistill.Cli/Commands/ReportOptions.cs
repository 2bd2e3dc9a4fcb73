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
}
