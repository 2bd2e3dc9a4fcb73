using System.Text.Json;
using TraceDistill.Cli.Reporting;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Reporting.Reading;

/// <summary>One synthetic ablation, reported once.</summary>
public sealed class AblationReport : IAsyncLifetime
{
    readonly TemporaryDirectory _directory = new();

    public string Folder => _directory.Path;

    public async ValueTask InitializeAsync()
    {
        await new SyntheticRun(Folder).WriteAblationAsync();
        await ReportWriter.WriteAsync(Folder, Folder, []);
    }

    public ValueTask DisposeAsync()
    {
        _directory.Dispose();
        return ValueTask.CompletedTask;
    }
}

public sealed class AblationTests(AblationReport report) : IClassFixture<AblationReport>
{
    [Fact]
    public async Task Ablation_MatrixOverSeedsAndSizes_PairsCopiesByConditionAndSeed()
    {
        var run = await RunReader.ReadAsync(report.Folder, TestContext.Current.CancellationToken);
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
    public void Overall_SeedsInSeveralConditions_CountsEachSeedOnce()
    {
        // Seeds differ by far more than conditions: six independent pairs would be a much narrower interval.
        (string Condition, string Seed, double Difference)[] pairs =
        [
            ("a", "1", 0.10),
            ("a", "2", 0.02),
            ("a", "3", -0.03),
            ("b", "1", 0.12),
            ("b", "2", 0.02),
            ("b", "3", -0.05),
        ];
        var ablation = Of(pairs);

        // Means of the seeds: 0.11, 0.02 and −0.04, of them 0.03 and s² = (0.08² + 0.01² +
        // 0.07²)/2 = 0.0057; Student's t of two degrees of freedom is 4.302653.
        var half = 4.302653 * Math.Sqrt(0.0057 / 3);
        Assert.Equal((0.03, 3, 3), (Math.Round(ablation.Overall.Mean, 12), ablation.Overall.Count, ablation.Seeds));
        Assert.Equal(0.03 - half, ablation.Overall.Interval!.Value.Low, 1e-6);
        Assert.Equal(0.03 + half, ablation.Overall.Interval!.Value.High, 1e-6);

        // Of the eight patterns of signs, ±0.11 ±0.02 ±0.04, six have sums of 0.09 or more: all but ±(0.11 − 0.02 − 0.04).
        Assert.Equal(0.75, ablation.SignFlip);
    }

    [Fact]
    public void Overall_OneSeedInSeveralConditions_HasNoInterval()
    {
        var ablation = Of([("a", "", 0.1), ("b", "", 0.2)]);

        Assert.Equal((null, null, 1), (ablation.Overall.Interval, ablation.SignFlip, ablation.Seeds));
        Assert.Equal(0.15, ablation.Overall.Mean, 1e-12);
    }

    static Ablation Of((string Condition, string Seed, double Difference)[] pairs) =>
        new(
            "student",
            "baseline",
            0,
            1,
            [
                .. pairs
                    .GroupBy(pair => pair.Condition)
                    .Select(condition => new AblationCondition(
                        condition.Key,
                        [
                            .. condition.Select(pair => new AblationPair(
                                pair.Condition,
                                pair.Seed,
                                0.5 + pair.Difference,
                                0.5,
                                IsOfSoftTargets: true
                            )),
                        ]
                    )),
            ]
        );

    [Fact]
    public void Seconds_StagesSideBySide_CountOnce()
    {
        var noon = new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
        StageFacts Stage(string name, double from, double to, double before = 0) =>
            new()
            {
                Name = name,
                Verb = "train",
                Folder = name,
                Seconds = to - from + before,
                PeakMemoryBytes = 1,
                ProgramVersion = "1",
                Settings = new Dictionary<string, string>(),
                LastAttempt = (noon.AddSeconds(from), noon.AddSeconds(to)),
            };

        var run = new RunFacts
        {
            // One after the other, then two side by side, one of which had an earlier attempt of 7 seconds.
            Name = "run",
            Evaluations = [],
            Traces = [],
            Metrics = [],
            Stages = [Stage("traces", 0, 10), Stage("student", 10, 40), Stage("baseline", 15, 60, before: 7)],
        };

        Assert.Equal(60 + 7, run.Seconds, 1e-9);
        Assert.Equal(2, run.PeakMemoryBytes);
    }

    [Fact]
    public async Task Report_Matrix_HeadlineAndSummaryTellThePairedDifference()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(report.Folder, "report.html"), TestContext.Current.CancellationToken);
        var written = JsonDocument
            .Parse(await File.ReadAllBytesAsync(Path.Combine(report.Folder, "summary.json"), TestContext.Current.CancellationToken))
            .RootElement;

        Assert.Matches(
            @"<b>Soft targets are ahead, over few seeds\.</b>\s+Over 6 pairs of\s+trainings in 2 conditions, student minus baseline",
            page
        );
        Assert.Contains("3 seeds are few: 8 or more make a finding.", page, StringComparison.Ordinal);
        Assert.Equal(3, written.GetProperty("ablations")[0].GetProperty("seeds").GetInt32());
        Assert.Matches(@"<th scope=""row"">all</th><td>6</td>", page);
        var ablation = Assert.Single(written.GetProperty("ablations").EnumerateArray());
        Assert.Equal(6, ablation.GetProperty("pairs").GetInt32());
        Assert.Equal("limit 500", ablation.GetProperty("conditions")[0].GetProperty("condition").GetString());
        Assert.Equal(3, ablation.GetProperty("conditions")[0].GetProperty("seeds").GetInt32());
        Assert.Equal(2, ablation.GetProperty("difference_ci").GetArrayLength());
    }
}
