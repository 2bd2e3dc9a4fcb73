using TraceDistill.Cli.Reporting;
using TraceDistill.Cli.Stages;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Commands;

/// <summary><c>report.html</c> and <c>summary.json</c> of a run, and the files of a comparison of methods.</summary>
sealed class ReportVerb : Verb<ReportOptions>
{
    public override string Name => "report";

    public override string Description => "Write the HTML report and summary.json of a run directory";

    public override VerbOutput Output => VerbOutput.Optional;

    public override bool ReadsWholeRun => true;

    public override IReadOnlyList<string> RunDirectoryFiles => [ReportPage.FileName, RunSummary.FileName, .. MethodFiles.Names];

    public override async Task<object> RunAsync(ReportOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var run = options.Run
            ?? context.RunDirectory
            ?? throw new InvalidInputException("RUN: is required: name the run directory to report on, such as runs/quickstart");
        var output = Directory.CreateDirectory(context.Output ?? run).FullName;
        var summary = await ReportWriter.WriteAsync(run, output, options.Baselines, cancellationToken);
        if (context.RunDirectory is null)
        {
            context.Observer.Message($"report: {Path.Combine(output, ReportPage.FileName)}");
        }

        return summary;
    }
}
