using System.Text.Json;
using TraceDistill.Cli.Reporting;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Reporting;

public sealed class AblationTests
{
    [Fact]
    public async Task Ablation_MatrixOverSeedsAndSizes_PairsCopiesByConditionAndSeed()
    {
        using var directory = new TemporaryDirectory();
        await new SyntheticRun(directory.Path).WriteAblationAsync();
        var run = await RunReader.ReadAsync(directory.Path, TestContext.Current.CancellationToken);
        var accuracies = run.Main!.Models.ToDictionary(model => model.Name, model => model.Scores.Accuracy);

        var ablation = Assert.Single(Ablation.Find(run));

        Assert.Equal(("student", "baseline"), (ablation.First, ablation.Second));
        Assert.Equal(["limit 500", "limit 2000"], ablation.Conditions.Select(condition => condition.Name));
        Assert.All(ablation.Conditions, condition => Assert.Equal(["1", "2", "3"], condition.Pairs.Select(pair => pair.Seed).Order()));
        double[] expected = [.. new[] { 1, 2, 3 }.Select(seed => accuracies[$"student.{seed}.500"] - accuracies[$"baseline.{seed}.500"])];
        Assert.Equal(expected.Average(), ablation.Conditions[0].Difference.Mean, 1e-12);

        // Student's t with two degrees of freedom: 4.302653 · s/√3.
        var deviation = Math.Sqrt(expected.Sum(value => Math.Pow(value - expected.Average(), 2)) / 2);
        Assert.Equal(expected.Average() - 4.302653 * deviation / Math.Sqrt(3), ablation.Conditions[0].Difference.Interval!.Value.Low, 1e-6);
    }

    [Fact]
    public async Task Report_Matrix_HeadlineAndSummaryTellThePairedDifference()
    {
        using var directory = new TemporaryDirectory();
        await new SyntheticRun(directory.Path).WriteAblationAsync();
        var summary = await ReportWriter.WriteAsync(directory.Path, directory.Path, TestContext.Current.CancellationToken);
        var page = await File.ReadAllTextAsync(directory.File("report.html"), TestContext.Current.CancellationToken);
        var written = JsonDocument.Parse(await File.ReadAllBytesAsync(directory.File("summary.json"), TestContext.Current.CancellationToken)).RootElement;

        Assert.Contains("Over 6 pairs of trainings in 2 conditions, student minus baseline", page, StringComparison.Ordinal);
        Assert.Equal(6, Assert.Single(summary.Ablations).Pairs);
        var ablation = written.GetProperty("ablations")[0];
        Assert.Equal("limit 500", ablation.GetProperty("conditions")[0].GetProperty("condition").GetString());
        Assert.Equal(3, ablation.GetProperty("conditions")[0].GetProperty("seeds").GetInt32());
        Assert.Equal(2, ablation.GetProperty("difference_ci").GetArrayLength());
    }
}
