using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Reporting;

/// <summary>Writes <c>report.html</c> and <c>summary.json</c> of a run directory.</summary>
static class ReportWriter
{
    /// <param name="runDirectory">Folder that <c>run</c> wrote; the report is of its finished stages alone.</param>
    /// <param name="outputFolder">Where the two files go; exists.</param>
    /// <returns>The content of <c>summary.json</c>.</returns>
    /// <exception cref="InvalidInputException">The directory is no run directory, or a file in it is damaged.</exception>
    public static async Task<RunSummary> WriteAsync(string runDirectory, string outputFolder, CancellationToken cancellationToken = default)
    {
        var run = await RunReader.ReadAsync(runDirectory, cancellationToken);
        var summary = RunSummary.Of(run);
        AtomicFile.WriteAllText(Path.Combine(outputFolder, ReportPage.FileName), ReportPage.Render(run));
        summary.Write(outputFolder);
        return summary;
    }
}
