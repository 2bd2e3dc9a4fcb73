using System.Security.Cryptography;
using System.Text;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Cli.Reporting.Sections;

namespace TraceDistill.Cli.Reporting;

/// <summary>
/// The report: one file that needs no other and asks for none. Its own content security policy forbids every request and every script but
/// the one it was written with.
/// </summary>
static class ReportPage
{
    public const string FileName = "report.html";

    public static string Render(RunFacts run)
    {
        var script = Asset("report.js");
        var scriptHash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)));
        Section?[] sections =
        [
            MethodsSection.Of(run),
            AblationSection.Of(run),
            ResultsSection.Of(run),
            ComparisonSection.Of(run),
            ClassifierSection.Of(run),
            FamilySection.Of(run),
            LearningSection.Of(run),
            DiagnosticsSection.Of(run),
            CalibrationSection.Of(run),
            TracesSection.Of(run),
            TeacherSection.Of(run),
            CostSection.Of(run),
            EnvironmentSection.Recipe(run),
            EnvironmentSection.Of(run),
        ];
        var shown = sections.OfType<Section>().ToList();
        return Html.Of(
                $"""
                <!DOCTYPE html>
                <html lang="en">
                <head>
                <meta charset="utf-8" />
                <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{scriptHash}'" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <title>{run.Name} – TraceDistill</title>
                <style>{Html.Trusted(Asset("colors.css"))}{Html.Trusted(Asset("report.css"))}</style>
                </head>
                <body>
                <main>
                <header><p class="kicker">TraceDistill run</p><h1>{run.Name}</h1>{Headline.Of(run)}
                <nav aria-label="Contents">{shown.Select(section =>
                    Html.Of($"""<a href="#{section.Id}">{section.Title}</a> """)
                )}</nav></header>
                {shown.Select(section => Html.Of($"""<section id="{section.Id}"><h2>{section.Title}</h2>{section.Body}</section>"""))}
                </main>
                <script>{Html.Trusted(script)}</script>
                </body>
                </html>

                """
            )
            .ToString();
    }

    /// <summary>The text of a file in <c>Assets</c>.</summary>
    public static string Asset(string name)
    {
        using var reader = new StreamReader(
            typeof(ReportPage).Assembly.GetManifestResourceStream($"TraceDistill.Cli.Reporting.Assets.{name}")!
        );
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
