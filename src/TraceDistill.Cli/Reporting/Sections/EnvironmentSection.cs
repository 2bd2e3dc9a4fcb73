using System.Runtime.InteropServices;
using TraceDistill.Cli.Doctor;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Options of the run and the machine that it ran on.</summary>
static class EnvironmentSection
{
    public static Section Recipe(RunFacts run) =>
        new(
            "recipe",
            "Recipe",
            run.Recipe is null
                ? Section.Absent("The run directory has no recipe.yaml: its stages were not made by run.")
                : Html.Of(
                    $"""
                    <p>With nothing left to work out: as the stages were really run.</p>
                    <details><summary>recipe.yaml</summary><pre>{run.Recipe}</pre></details>
                    """
                )
        );

    public static Section Of(RunFacts run) =>
        new(
            "environment",
            "Environment",
            Html.Of(
                $"""
                <dl>
                <dt>program</dt><dd>TraceDistill {string.Join(", ", run.Stages.Select(stage => stage.ProgramVersion).Distinct())}</dd>
                <dt>runtime</dt><dd>{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}</dd>
                <dt>system</dt><dd>{RuntimeInformation.OSDescription}</dd>
                <dt>processor</dt><dd>{ProcessorInfo.Name}, {Environment.ProcessorCount} logical cores</dd>
                <dt>memory</dt><dd>{ProgressText.Bytes(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)}</dd>
                </dl>
                <p class="soft">Of the machine that wrote this report.</p>
                """
            )
        );
}
