using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Reporting;

/// <summary>
/// Writes <c>report.html</c> and <c>summary.json</c> of a run directory, and the files of a comparison of methods where it has one.
/// </summary>
static class ReportWriter
{
    /// <param name="runDirectory">Folder that <c>run</c> wrote; the report is of its finished stages alone.</param>
    /// <param name="outputFolder">Where the files go; exists.</param>
    /// <param name="baselines">Ways of training that the others are compared with; the usual ones where it is empty.</param>
    /// <returns>The content of <c>summary.json</c>.</returns>
    /// <exception cref="InvalidInputException">
    /// The directory is no run directory, a file in it is damaged, or a baseline is none of its ways of training.
    /// </exception>
    public static async Task<RunSummary> WriteAsync(
        string runDirectory,
        string outputFolder,
        IReadOnlyList<string> baselines,
        CancellationToken cancellationToken = default
    )
    {
        var read = await RunReader.ReadAsync(runDirectory, cancellationToken);
        var run = read with { Methods = MethodComparison.Find(read, baselines) };
        var summary = RunSummary.Of(run);
        AtomicFile.WriteAllText(Path.Combine(outputFolder, ReportPage.FileName), ReportPage.Render(run));
        summary.Write(outputFolder);
        if (run.Methods is { } methods)
        {
            MethodFiles.Write(methods, outputFolder);
        }

        return summary;
    }
}
