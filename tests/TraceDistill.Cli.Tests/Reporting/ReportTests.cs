using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using TraceDistill.Cli.Reporting;
using TraceDistill.Evaluation;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Reporting;

/// <summary>One synthetic quickstart, reported once.</summary>
public sealed class QuickstartReport : IAsyncLifetime
{
    readonly TemporaryDirectory _directory = new();

    public string Page { get; private set; } = "";

    public JsonElement Summary { get; private set; }

    public string Folder => _directory.Path;

    public async ValueTask InitializeAsync()
    {
        await new SyntheticRun(Folder).WriteQuickstartAsync();
        await ReportWriter.WriteAsync(Folder, Folder, []);
        Page = await File.ReadAllTextAsync(_directory.File("report.html"));
        Summary = JsonDocument.Parse(await File.ReadAllBytesAsync(_directory.File("summary.json"))).RootElement;
    }

    public ValueTask DisposeAsync()
    {
        _directory.Dispose();
        return ValueTask.CompletedTask;
    }
}

public sealed partial class ReportTests(QuickstartReport report) : IClassFixture<QuickstartReport>
{
    [Fact]
    public void Summary_Quickstart_HasTheKeysThatScriptsRelyOn()
    {
        var evaluation = EvaluationResult.Read(Path.Combine(report.Folder, "scores", EvaluationResult.FileName));
        foreach (var name in new[] { "teacher", "student", "baseline", "untrained" })
        {
            var model = report.Summary.GetProperty("models").GetProperty(name);
            Assert.Equal(evaluation.Models[name].Accuracy, model.GetProperty("accuracy").GetDouble());
            Assert.Equal(480, model.GetProperty("n").GetInt32());
            Assert.Equal(2, model.GetProperty("accuracy_ci").GetArrayLength());
            Assert.InRange(model.GetProperty("unverified").GetInt32(), 0, 480);
            Assert.True(model.GetProperty("accuracy_ci")[0].GetDouble() <= model.GetProperty("accuracy").GetDouble());
        }

        Assert.Equal(398_208, report.Summary.GetProperty("models").GetProperty("student").GetProperty("parameters").GetInt64());
        var traces = report.Summary.GetProperty("traces");
        Assert.Equal(160, traces.GetProperty("count").GetInt64());
        Assert.Equal(8, traces.GetProperty("top_k").GetInt32());
        Assert.Equal(
            traces.GetProperty("bytes").GetDouble() / traces.GetProperty("tokens").GetDouble(),
            traces.GetProperty("bytes_per_token").GetDouble(),
            1e-9
        );
        Assert.Equal(419.7, report.Summary.GetProperty("seconds").GetProperty("total").GetDouble(), 1e-9);
        Assert.Equal(148.9, report.Summary.GetProperty("seconds").GetProperty("student").GetDouble());
        Assert.Equal((long)(1.36 * (1L << 30)), report.Summary.GetProperty("peak_memory_bytes").GetInt64());
        Assert.Equal(6, report.Summary.GetProperty("comparisons").GetArrayLength());
    }

    [Fact]
    public void Page_Quickstart_IsWellFormedWithUniqueIdsAndWorkingLinks()
    {
        var page = Parse(report.Page);
        var ids = page.Descendants().Attributes("id").Select(id => id.Value).ToList();
        Assert.Equal(ids.Count, ids.Distinct().Count());
        Assert.All(page.Descendants("a"), link => Assert.Contains(link.Attribute("href")!.Value[1..], ids));
        Assert.All(page.Descendants("svg"), drawing => Assert.NotEmpty(drawing.Attribute("aria-label")!.Value));
        Assert.Equal(
            ["results", "comparisons", "families", "learning", "calibration", "traces", "cost", "recipe", "environment"],
            page.Descendants("section").Select(section => section.Attribute("id")!.Value)
        );
    }

    [Fact]
    public async Task Page_StageThatAskedATeacher_TellsCostLatencyAndFailures()
    {
        using var directory = new TemporaryDirectory();
        var usage = new CollectionUsage
        {
            Tokens = 1_234_567,
            Cost = 12.5,
            Failures = 7,
            Latency = new(0.25, 8, 75.3),
            Endpoints =
            [
                new()
                {
                    Endpoint = "teacher at http://gpu-01:8000/v1",
                    Answered = 4000,
                    PromptTokens = 234_567,
                    CompletionTokens = 1_000_000,
                    Cost = 12.5,
                    Failures = new Dictionary<string, long> { ["http_429"] = 5, ["timeout"] = 2 },
                    Latency = new(0.25, 8, 75.3),
                },
            ],
        };
        new SyntheticRun(directory.Path).Finish("traces", "generate", 100, 0.1, new { Count = 4000, Usage = usage });

        await ReportWriter.WriteAsync(directory.Path, directory.Path, [], TestContext.Current.CancellationToken);

        var page = Parse(await File.ReadAllTextAsync(directory.File("report.html"), TestContext.Current.CancellationToken));
        var section = Normal(page.Descendants("section").Single(section => section.Attribute("id")!.Value == "teacher").Value);
        Assert.Contains(
            "traces: 1.23 M tokens at a cost of 12.50; half of the answers came within 250 ms, 95% within 8.0 s and 99% within 1 min 15 s.",
            section,
            StringComparison.Ordinal
        );
        Assert.Contains("5 http 429, 2 timeout.", section, StringComparison.Ordinal);
        Assert.Contains("teacher at http://gpu-01:8000/v1", section, StringComparison.Ordinal);
    }

    [Fact]
    public void Page_Quickstart_AsksForNothingFromOutside()
    {
        Assert.DoesNotMatch(OutsideReference(), report.Page);
        Assert.Contains("default-src 'none'", report.Page, StringComparison.Ordinal);
    }

    [Fact]
    public void Page_Headline_TellsAccuracyShareOfTeacherAndPairedDifference()
    {
        var evaluation = EvaluationResult.Read(Path.Combine(report.Folder, "scores", EvaluationResult.FileName));
        var (student, teacher) = (evaluation.Models["student"].Accuracy, evaluation.Models["teacher"].Accuracy);
        var comparison = evaluation.Comparisons.Single(pair => (pair.First, pair.Second) == ("student", "baseline"));
        var headline = Parse(report.Page).Descendants("div").First(div => div.Attribute("class")?.Value == "headline").Value;
        Assert.Contains($"student solves {100 * student:0.0}% of 480 problems", headline, StringComparison.Ordinal);
        Assert.Contains($"{100 * student / teacher:0.0}% of what teacher solves", headline, StringComparison.Ordinal);
        Assert.Contains(
            "On the same problems student minus baseline, trained in the same way "
                + $"but without soft targets, is +{100 * comparison.Difference:0.0} points",
            Normal(headline),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "one pair of trainings. It shows how these two models differ, and not what soft targets are worth",
            Normal(headline),
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("help", headline, StringComparison.Ordinal);
        Assert.DoesNotContain("McNemar", headline, StringComparison.Ordinal);
    }

    [Fact]
    public void Page_Headline_NamesTheFamiliesInWhichTheStudentIsNotAhead()
    {
        var evaluation = EvaluationResult.Read(Path.Combine(report.Folder, "scores", EvaluationResult.FileName));
        var (student, baseline) = (evaluation.Models["student"].Families, evaluation.Models["baseline"].Families);
        var behind = student.Keys.Where(family => student[family].Accuracy < baseline[family].Accuracy).ToList();
        var level = student.Keys.Count(family => student[family].Accuracy == baseline[family].Accuracy);
        var headline = Normal(Parse(report.Page).Descendants("div").First(div => div.Attribute("class")?.Value == "headline").Value);
        Assert.NotEmpty(behind);
        Assert.Contains(
            $"ahead in {student.Count - behind.Count - level} of {student.Count}, behind in ",
            headline,
            StringComparison.Ordinal
        );
        Assert.All(behind, family => Assert.Contains($"{family} (", headline, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Page_StageThatTheRecipeNoLongerHas_IsNotOfTheRun()
    {
        using var directory = new TemporaryDirectory();
        var run = new SyntheticRun(directory.Path);
        run.Finish("old", "train", 100, 1);
        run.Finish("new", "train", 5, 1);
        await File.WriteAllTextAsync(
            directory.File("recipe.yaml"),
            "stages: { new: { do: train } }",
            TestContext.Current.CancellationToken
        );

        var summary = await ReportWriter.WriteAsync(directory.Path, directory.Path, [], TestContext.Current.CancellationToken);

        Assert.Equal(["total", "new"], summary.Seconds.Keys);
        Assert.Equal(5, summary.Seconds["total"]);
    }

    [Fact]
    public void Page_Learning_DrawsEveryLossTermOfStudentAndBaseline()
    {
        var section = Section("learning");
        Assert.Equal(
            ["loss, nats a token", "hard loss (loss_ce), nats a token", "soft targets (loss_kd), nats a token"],
            section.Descendants("text").Where(text => text.Attribute("transform") is not null).Select(text => text.Value)
        );
        Assert.Equal(["student", "baseline"], section.Descendants("span").Select(chip => chip.Value));
    }

    [Fact]
    public void Page_Traces_EscapeWhatModelsAndProblemsSay()
    {
        Assert.DoesNotContain(SyntheticRun.Hostile, report.Page, StringComparison.Ordinal);
        Assert.Contains(SyntheticRun.Hostile, Section("traces").Value, StringComparison.Ordinal);
        Assert.Equal(2, Parse(report.Page).Descendants("script").Count());
    }

    [Fact]
    public void Page_Traces_CarryTheDistributionOfEveryToken()
    {
        var data = JsonDocument.Parse(Script().Match(report.Page).Groups["data"].Value).RootElement;
        var shown = Section("traces").Descendants("div").Where(div => div.Attribute("class")?.Value == "tokens").ToList();
        Assert.Equal(12, shown.Count);
        Assert.Equal(
            shown.Select(trace => trace.Elements("span").Count()),
            data.GetProperty("traces").EnumerateArray().Select(trace => trace.GetArrayLength())
        );
        var token = data.GetProperty("traces")[1][3];
        Assert.Equal(2 + 2 * 8, token.GetArrayLength());
        Assert.True(data.GetProperty("words").TryGetProperty($"{token[0].GetInt32()}", out _));
        Assert.InRange(Enumerable.Range(0, 8).Sum(rank => Math.Exp(token[3 + 2 * rank].GetDouble())), 0.9, 1.001);
    }

    [Fact]
    public void Page_Cost_ListsEveryStage() =>
        Assert.Equal(
            ["problems", "traces", "student", "baseline", "scores"],
            Section("cost").Descendants("tbody").Elements("tr").Select(row => row.Element("th")!.Value)
        );

    [Fact]
    public async Task Page_AgainFromTheSameFiles_IsTheSame()
    {
        using var other = new TemporaryDirectory();
        await ReportWriter.WriteAsync(report.Folder, other.Path, [], TestContext.Current.CancellationToken);
        Assert.Equal(report.Page, await File.ReadAllTextAsync(other.File("report.html"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Page_RunWithOneStageOnly_HasNoSectionForWhatItDidNotDo()
    {
        using var directory = new TemporaryDirectory();
        new SyntheticRun(directory.Path).Finish("problems", "problems", 2, 0.1);
        await ReportWriter.WriteAsync(directory.Path, directory.Path, [], TestContext.Current.CancellationToken);
        var page = Parse(await File.ReadAllTextAsync(directory.File("report.html"), TestContext.Current.CancellationToken));
        Assert.Equal(["cost", "recipe", "environment"], page.Descendants("section").Select(section => section.Attribute("id")!.Value));
        var summary = JsonDocument
            .Parse(await File.ReadAllBytesAsync(directory.File("summary.json"), TestContext.Current.CancellationToken))
            .RootElement;
        Assert.Equal(JsonValueKind.Null, summary.GetProperty("traces").ValueKind);
        Assert.Empty(summary.GetProperty("models").EnumerateObject());
    }

    [Fact]
    public async Task Write_NoRunDirectory_SaysWhatToGive()
    {
        using var directory = new TemporaryDirectory();
        var missing = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ReportWriter.WriteAsync(directory.File("none"), directory.Path, [], TestContext.Current.CancellationToken)
        );
        var empty = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ReportWriter.WriteAsync(directory.Path, directory.Path, [], TestContext.Current.CancellationToken)
        );
        Assert.Contains("no such run directory", missing.Message, StringComparison.Ordinal);
        Assert.Contains("no finished stage", empty.Message, StringComparison.Ordinal);
    }

    XElement Section(string id) => Parse(report.Page).Descendants("section").Single(section => section.Attribute("id")?.Value == id);

    /// <summary>As XML, which the page is written to be apart from its doctype and the text of style and script.</summary>
    static XElement Parse(string page) =>
        XElement.Parse(RawText().Replace(page.Replace("<!DOCTYPE html>", "", StringComparison.Ordinal), "<${tag}${attributes}></${tag}>"));

    static string Normal(string text) => WhiteSpace().Replace(text, " ");

    [GeneratedRegex(@"<(?<tag>script|style)(?<attributes>[^>]*)>.*?</\k<tag>>", RegexOptions.Singleline)]
    private static partial Regex RawText();

    [GeneratedRegex(@"<script type=""application/json"" id=""trace-data"">(?<data>.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Script();

    [GeneratedRegex(@"(?:src|href|action|data|poster)\s*=\s*[""'](?!#)|url\(|@import|https?:|//[a-z]", RegexOptions.IgnoreCase)]
    private static partial Regex OutsideReference();

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();
}
