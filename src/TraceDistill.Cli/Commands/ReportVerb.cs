using System.Runtime.CompilerServices;
using TraceDistill.Cli.Reporting;
using TraceDistill.Cli.Stages;
using TraceDistill.Evaluation;
using TraceDistill.Text.Errors;
using TraceDistill.Training;
using TraceDistill.Training.Pretraining;

namespace TraceDistill.Cli.Commands;

/// <summary><c>report.html</c> and <c>summary.json</c> of a run, and the files of a comparison of methods.</summary>
sealed class ReportVerb : Verb<ReportOptions>
{
    public override string Name => "report";

    public override string Description => "Write the HTML report and summary.json of a run directory";

    public override VerbOutput Output => VerbOutput.Optional;

    public override bool ReadsWholeRun => true;

    public override IReadOnlyList<string> RunDirectoryFiles => [ReportPage.FileName, RunSummary.FileName, .. MethodFiles.Names];

    /// <summary>Hours of training may lie before a report that does not find its baselines.</summary>
    public override async IAsyncEnumerable<Foreseen> ForeseeAsync(
        ReportOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        await Task.CompletedTask;
        if (options.Run is not null || ahead.Stages.Count == 0)
        {
            yield break;
        }

        var compared = ahead
            .Stages.Select(stage => stage.Options)
            .OfType<EvaluateOptions>()
            .SelectMany(evaluation => evaluation.Models.Values)
            .Select(model => ahead.MakerOf(model.Directory))
            .Where(maker => maker?.Options is TrainOptions or PretrainOptions or ExportOptions)
            .Select(maker => maker!.Family)
            .Distinct()
            .ToList();
        foreach (var unknown in options.Baselines.Except(compared))
        {
            yield return new Foreseen(
                IsCertain: true,
                $"baselines: no evaluation compares a training {unknown} with others: "
                    + (compared.Count == 0 ? "leave baselines out" : NearestName.Suggestion(unknown, compared))
            );
        }
    }

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
