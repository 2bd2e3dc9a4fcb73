using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>Stages as a plan has them.</summary>
static class SampleStages
{
    /// <param name="options">Of the verb.</param>
    /// <param name="reads">Names of the stages that it reads.</param>
    /// <param name="arguments">The options as its command takes them.</param>
    public static PlannedStage Of(IVerb verb, object options, string name, IReadOnlyList<string> reads, ConfigMap? arguments = null) =>
        new()
        {
            Name = name,
            Family = name,
            Verb = verb,
            Settings = arguments ?? new ConfigMap(SourceLocation.CommandLine, []),
            Arguments = arguments ?? new ConfigMap(SourceLocation.CommandLine, []),
            Options = options,
            Inputs = [],
            DependsOn = reads,
        };
}
