using System.Globalization;
using System.Text.Json;
using System.Xml.Linq;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Statistics;
using TraceDistill.Evaluation;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Reporting.Reading;

/// <summary>A run of five ways of training over eight seeds whose differences are known.</summary>
public sealed class MethodsReport : IAsyncLifetime
{
    readonly TemporaryDirectory _directory = new();

    public string Folder => _directory.Path;

    public async ValueTask InitializeAsync()
    {
        await WriteAsync(Folder, Names);
        await ReportWriter.WriteAsync(Folder, Folder, []);
    }

    public ValueTask DisposeAsync()
    {
        _directory.Dispose();
        return ValueTask.CompletedTask;
    }

    public static string[] Names { get; } = ["better", "kd", "ce", "noisy", "worse"];

    /// <summary>
    /// Accuracy less that of kd, which varies by seed: half of the seeds are a spread above the mean, half below, so that t = √7 · mean /
    /// spread with seven degrees of freedom.
    /// </summary>
    public static (double Mean, double Spread) Gain(string name) =>
        name switch
        {
            "better" => (0.02, 0.004),
            "ce" => (-0.03, 0.02),
            "noisy" => (0.01, 0.05),
            "worse" => (-0.05, 0.01),
            _ => (0, 0),
        };

    public static double Accuracy(string name, int seed) =>
        0.5 + (0.01 * seed) + Gain(name).Mean + (seed % 2 == 0 ? 1 : -1) * Gain(name).Spread;

    /// <summary>Falls by a tenth of what accuracy gains.</summary>
    public static double Kl(string name, int seed) => 0.2 - Accuracy(name, seed) / 10;

    /// <param name="others">Further evaluations: the ways of training in each, whose accuracy is the other way round there.</param>
    public static async Task WriteAsync(
        string folder,
        IReadOnlyList<string> names,
        params IReadOnlyList<(string Name, string[] Methods)> others
    )
    {
        var run = new SyntheticRun(folder);
        (string Name, string Stage, int Seed)[] copies =
        [
            .. from name in names from seed in Enumerable.Range(1, 8) select (name, $"{name}.{seed}", seed),
        ];
        using (var log = new MetricsLog(Path.Combine(folder, "metrics.jsonl"), TimeProvider.System))
        {
            foreach (var copy in copies)
            {
                for (var step = 10; step <= 100; step += 10)
                {
                    log.Append(copy.Stage, step, Diagnostics(copy.Name, step));
                }

                run.Finish(copy.Stage, "train", 10, 0.5);
            }
        }

        var trainings = copies.Select(copy => $"  {copy.Stage}: {{ do: train, traces: data/traces, seed: {copy.Seed} }}\n");
        var models = string.Join(", ", copies.Select(copy => $"{copy.Stage}: {copy.Stage}"));
        await File.WriteAllTextAsync(
            Path.Combine(folder, "recipe.yaml"),
            $"name: methods\nstages:\n{string.Concat(trainings)}  scores: {{ do: evaluate, problems: p.jsonl, models: {{ {models} }} }}\n"
                + string.Concat(others.Select(other => $"  {other.Name}: {{ do: evaluate, problems: p.jsonl, models: {{ {models} }} }}\n"))
        );
        Evaluate("scores", names, accuracy => accuracy);
        foreach (var (name, methods) in others)
        {
            Evaluate(name, methods, accuracy => 1 - accuracy);
        }

        void Evaluate(string stage, IReadOnlyList<string> methods, Func<double, double> accuracyOf)
        {
            new EvaluationResult
            {
                Problems = "p.jsonl",
                N = 500,
                Seed = 7,
                Comparisons = [],
                Models = new OrderedDictionary<string, ModelScores>(
                    from copy in copies
                    where methods.Contains(copy.Name)
                    let scores = Scores(accuracyOf(Accuracy(copy.Name, copy.Seed)), Kl(copy.Name, copy.Seed))
                    select KeyValuePair.Create(copy.Stage, scores)
                ),
            }.Write(Path.Combine(run.Folder(stage), EvaluationResult.FileName));
            run.Finish(stage, "evaluate", 5, 0.5);
        }
    }

    /// <summary>As a training writes them: one objective of drawn tokens, and for all but ce one of soft targets.</summary>
    static Dictionary<string, double> Diagnostics(string name, int step)
    {
        var values = new Dictionary<string, double>
        {
            ["loss"] = 5.0 / step,
            ["loss_ce"] = 6.0 / step,
            ["grad_norm_ce"] = 0.5,
        };
        return name == "ce"
            ? values
            : new(values)
            {
                ["loss_kd"] = 4.0 / step,
                ["grad_norm_kd"] = 0.25,
                ["loss_hidden_states"] = 300.0 / step,
                ["grad_norm_hidden_states"] = 20,
                ["loss_router"] = 0.001,
                ["grad_norm_router"] = 0.002,
                ["grad_cosine"] = 0.75,
                ["teacher_entropy"] = 0.3,
                ["student_entropy"] = 0.4,
                ["top1"] = 0.9,
                ["covered_mass"] = 0.99,
                ["untaught"] = 5,
                ["untaught_texts"] = 3,
                ["drawn_outside"] = 2,
            };
    }

    static ModelScores Scores(double accuracy, double kl) =>
        new()
        {
            Accuracy = accuracy,
            AccuracyCi = new Interval(accuracy - 0.04, accuracy + 0.04),
            N = 500,
            MeanTokens = 90,
            TruncatedShare = 0,
            Families = new Dictionary<string, FamilyScores>
            {
                ["addition"] = new(accuracy, new Interval(accuracy - 0.04, accuracy + 0.04), 500),
            },
            Distribution = new DistributionScores
            {
                Kl = kl,
                KlCi = new Interval(kl - 0.01, kl + 0.01),
                CrossEntropy = kl + 0.3,
                TopAgreement = 0.9,
                Traces = 100,
                Tokens = 9000,
                TokenCalibration = new ReliabilityCurve(0.01, 9000, [new ReliabilityBin(0.9, 1, 0.95, 0.94, 9000)]),
            },
        };
}

public sealed class MethodComparisonTests(MethodsReport report) : IClassFixture<MethodsReport>
{
    /// <summary>0.975 quantile of Student's t with seven degrees of freedom, from a printed table.</summary>
    const double Quantile = 2.364624;

    [Fact]
    public async Task Find_EightSeeds_PairsEveryMethodWithPlainDistillation()
    {
        var comparison = await ReadAsync();

        Assert.Equal(["kd", "ce"], comparison.Baselines);
        Assert.Equal(8, comparison.Seeds);
        Assert.Equal(["better", "noisy", "kd", "ce", "worse"], comparison.Methods.Select(method => method.Name));
        foreach (var method in comparison.Methods.Where(method => method.Name != "kd"))
        {
            var (mean, spread) = MethodsReport.Gain(method.Name);
            var found = method.Against("kd", MethodMeasure.Accuracy)!;
            Assert.Equal(mean, found.Difference.Mean, 1e-12);

            // The sample deviation of eight values, half of them a spread above and half below, is spread · √(8/7).
            Assert.Equal(mean - Quantile * spread / Math.Sqrt(7), found.Difference.Interval!.Value.Low, 1e-7);
            Assert.Equal(Tail(Math.Abs(mean) / spread), found.Difference.PValue!.Value, 1e-12);
        }
    }

    [Fact]
    public async Task Find_FourComparisons_CorrectsTheirPValuesTogether()
    {
        var comparison = await ReadAsync();

        // By rising p: worse and better (both 5 spreads from zero), ce (1.5), noisy (0.2).
        var (far, near, level) = (Tail(5), Tail(1.5), Tail(0.2));
        AssertHolm("worse", 4 * far);
        AssertHolm("better", 4 * far);
        AssertHolm("ce", 2 * near);
        AssertHolm("noisy", level);

        void AssertHolm(string method, double expected) =>
            Assert.Equal(
                expected,
                comparison.Methods.Single(found => found.Name == method).Against("kd", MethodMeasure.Accuracy)!.HolmP!.Value,
                1e-9
            );
    }

    [Fact]
    public async Task Find_LowerKl_IsAHelp()
    {
        var comparison = await ReadAsync();

        Assert.Equal(
            [MethodVerdict.Helped, MethodVerdict.Undecided, MethodVerdict.Harmed, MethodVerdict.Harmed],
            comparison
                .Methods.Select(method => method.Against("kd", MethodMeasure.Kl))
                .OfType<MethodDifference>()
                .Select(found => found.Verdict)
        );
    }

    [Fact]
    public async Task Find_OwnFigures_AreMeansOverSeedsWithTheirInterval()
    {
        var comparison = await ReadAsync();

        // 0.51 … 0.58: the deviation of 1 … 8 is √6.
        var found = comparison.Methods.Single(method => method.Name == "kd").Figures[MethodMeasure.Accuracy];
        Assert.Equal(0.545, found.Mean, 1e-12);
        Assert.Equal(0.545 + Quantile * 0.01 * Math.Sqrt(6.0 / 8), found.Interval!.Value.High, 1e-7);
    }

    [Fact]
    public async Task Find_GivenBaseline_IsTheOnlyOne()
    {
        var run = await RunReader.ReadAsync(report.Folder, TestContext.Current.CancellationToken);

        Assert.Equal(["worse"], MethodComparison.Find(run, ["worse"])!.Baselines);
    }

    [Fact]
    public async Task Find_UnknownBaseline_NamesTheNearestMethod()
    {
        var run = await RunReader.ReadAsync(report.Folder, TestContext.Current.CancellationToken);

        var error = Assert.Throws<InvalidInputException>(() => MethodComparison.Find(run, ["wors"]));

        Assert.Contains("baselines: wors is no training", error.Message, StringComparison.Ordinal);
        Assert.Contains("did you mean \"worse\"?", error.Message, StringComparison.Ordinal);
    }

    /// <summary>As of an old and a new task: what helps in one may harm in the other.</summary>
    [Fact]
    public async Task Find_SeveralEvaluations_ComparesByEachThatHasAllMethods()
    {
        using var directory = new TemporaryDirectory();
        await MethodsReport.WriteAsync(
            directory.Path,
            MethodsReport.Names,
            ("turned", MethodsReport.Names),
            ("partial", ["better", "kd", "worse"])
        );

        var run = await RunReader.ReadAsync(directory.Path, TestContext.Current.CancellationToken);
        var comparison = MethodComparison.Find(run, [])!;

        Assert.Equal(["scores", "turned"], comparison.Evaluations.Select(evaluation => evaluation.Stage.Name));
        Assert.Equal(
            ["scores.accuracy", "scores.kl", "scores.lm_loss", "turned.accuracy", "turned.kl", "turned.lm_loss"],
            comparison.Measures.Select(measure => measure.Key)
        );
        var better = comparison.Methods.Single(method => method.Name == "better");
        Assert.Equal(
            [(0.02, MethodVerdict.Helped), (-0.02, MethodVerdict.Harmed)],
            new[] { 0, 3 }
                .Select(index => better.Against("kd", comparison.Measures[index])!)
                .Select(found => (Math.Round(found.Difference.Mean, 12), found.Verdict))
        );

        var summary = await ReportWriter.WriteAsync(directory.Path, directory.Path, [], TestContext.Current.CancellationToken);
        var written = summary.Methods.Single(method => method.Method == "better");
        Assert.Equal("scores", written.Evaluation);
        Assert.Equal(1, written.Accuracy.Mean + written.Others["turned.accuracy"].Mean, 1e-12);
        Assert.Equal(["turned.accuracy", "turned.kl", "turned.lm_loss"], written.Others.Keys.Order());
        var page = await File.ReadAllTextAsync(directory.File("report.html"), TestContext.Current.CancellationToken);
        Assert.Contains("Against kd by accuracy in scores, helped: better (+2.0 points)", page, StringComparison.Ordinal);
        Assert.Contains("Against kd by accuracy in turned, helped: worse (+5.0 points)", page, StringComparison.Ordinal);
        Assert.Contains("on 500 problems in scores and 500 problems in turned.", page, StringComparison.Ordinal);
    }

    /// <summary>Of two methods over eight seeds a test of signs has p = 2/256 at least: it could decide.</summary>
    [Fact]
    public async Task Find_TwoMethodsWithAGivenBaseline_AreAComparison()
    {
        using var directory = new TemporaryDirectory();
        await MethodsReport.WriteAsync(directory.Path, ["worse", "kd"]);

        await ReportWriter.WriteAsync(directory.Path, directory.Path, ["kd"], TestContext.Current.CancellationToken);

        var text = await File.ReadAllTextAsync(directory.File("methods.md"), TestContext.Current.CancellationToken);
        Assert.Contains("Against kd by accuracy, helped: none; harmed: worse (−5.0 points)", text, StringComparison.Ordinal);
        Assert.Contains("are normally distributed; below 0.05 a method", text, StringComparison.Ordinal);
        Assert.DoesNotContain("test of signs", text, StringComparison.Ordinal);
        var run = await RunReader.ReadAsync(directory.Path, TestContext.Current.CancellationToken);
        Assert.Null(MethodComparison.Find(run, []));
    }

    [Fact]
    public async Task Find_NoMethodOfTheUsualNames_LeavesTheAblation()
    {
        using var directory = new TemporaryDirectory();
        await MethodsReport.WriteAsync(directory.Path, ["better", "noisy", "worse"]);

        await ReportWriter.WriteAsync(directory.Path, directory.Path, [], TestContext.Current.CancellationToken);

        var page = await File.ReadAllTextAsync(directory.File("report.html"), TestContext.Current.CancellationToken);
        Assert.Contains("<section id=\"ablation\">", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<section id=\"methods\">", page, StringComparison.Ordinal);
        Assert.False(File.Exists(directory.File("methods.csv")));
    }

    [Fact]
    public async Task Report_Methods_SaysWhatHelpedAndWhatDidNot()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(report.Folder, "report.html"), TestContext.Current.CancellationToken);

        Assert.Contains(
            "Against kd by accuracy, helped: better (+2.0 points); harmed: worse (−5.0 points), ce (−3.0 points); "
                + "cannot be told apart: noisy.",
            page,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Against kd by KL to the teacher, helped: better (−0.0020 nats); harmed: worse (+0.0050 nats), ce (+0.0030 nats); "
                + "1 cannot be told apart.",
            page,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("<section id=\"ablation\">", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Report_Diagnostics_HaveOneSeedOfEveryMethodAndItsOwnObjectives()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(report.Folder, "report.html"), TestContext.Current.CancellationToken);
        var start = page.IndexOf("<section id=\"diagnostics\">", StringComparison.Ordinal);
        var section = XElement.Parse(page[start..(page.IndexOf("</section>", start, StringComparison.Ordinal) + "</section>".Length)]);

        var trainings = section.Elements("details").ToDictionary(details => details.Element("summary")!.Value);
        Assert.Equal(MethodsReport.Names.Order(), trainings.Keys.Order());
        Assert.Equal(["value a token", "gradient by a token's logits"], Titles(trainings["ce"]));
        Assert.Equal(
            [
                "value a token",
                "gradient by a token's logits",
                "hidden_states: value",
                "router: value",
                "hidden_states: gradient",
                "router: gradient",
                "cosine of soft and hard gradient",
                "entropy, nats",
                "share of tokens, or of probability",
                "tokens of a step",
            ],
            Titles(trainings["kd"])
        );
        Assert.Equal(["ce", "kd"], trainings["kd"].Descendants("p").First().Elements("span").Select(name => name.Value));
        Assert.Equal(
            ["without soft targets", "of these, in texts without any", "drawn outside of them"],
            trainings["kd"].Descendants("p").Last().Elements("span").Select(name => name.Value)
        );

        static IEnumerable<string> Titles(XElement training) =>
            training.Descendants("text").Where(text => text.Attribute("transform") is not null).Select(text => text.Value);
    }

    [Fact]
    public async Task Files_Csv_HasEveryFigureWithItsPValues()
    {
        var lines = await File.ReadAllLinesAsync(Path.Combine(report.Folder, "methods.csv"), TestContext.Current.CancellationToken);
        string[][] rows = [.. lines.Select(line => line.Split(','))];

        // Five methods by three figures, each against two baselines of which two are methods themselves.
        Assert.Equal(1 + 5 * 3 + (5 - 1) * 2 * 3, rows.Length);
        Assert.All(rows, row => Assert.Equal(11, row.Length));
        var better = rows.Single(row => row[..3] is ["better", "accuracy", "kd"]);
        Assert.Equal((0.02, "8", "helped"), (Math.Round(Number(better[3]), 9), better[6], better[10]));
        Assert.Equal(4 * Tail(5), Number(better[8]), 1e-9);
        Assert.Equal(2 / 256.0, Number(better[9]), 1e-9);

        static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Files_Markdown_IsATableWithARowForEachMethod()
    {
        var lines = await File.ReadAllLinesAsync(Path.Combine(report.Folder, "methods.md"), TestContext.Current.CancellationToken);

        Assert.Equal("| method | accuracy | KL to the teacher | LM loss |", lines.First(line => line.StartsWith('|')));
        // A head of two lines each, and a method is not compared with itself.
        Assert.Equal(2 + 5 + (2 * (2 + 4)), lines.Count(line => line.StartsWith("| ", StringComparison.Ordinal)));
        Assert.Contains("## Difference from ce", lines);
        Assert.Contains(lines, line => line.StartsWith("| better | 56.5% (", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Files_Drawing_StandsAloneAsSvg()
    {
        var text = await File.ReadAllTextAsync(Path.Combine(report.Folder, "methods.svg"), TestContext.Current.CancellationToken);
        var drawing = XElement.Parse(text);

        Assert.All(drawing.DescendantsAndSelf(), element => Assert.Equal("http://www.w3.org/2000/svg", element.Name.NamespaceName));
        Assert.Contains("--paper:", text, StringComparison.Ordinal);
        Assert.Equal(3, drawing.Elements().Count(element => element.Name.LocalName == "svg"));
    }

    [Fact]
    public async Task Summary_Methods_HasMeansAndVerdicts()
    {
        var summary = JsonDocument
            .Parse(await File.ReadAllBytesAsync(Path.Combine(report.Folder, "summary.json"), TestContext.Current.CancellationToken))
            .RootElement;

        var worse = summary.GetProperty("methods").EnumerateArray().Single(method => method.GetProperty("method").GetString() == "worse");
        Assert.Equal(0.495, worse.GetProperty("accuracy").GetProperty("mean").GetDouble(), 1e-9);
        Assert.Equal(0.5 - (0.495 / 10), worse.GetProperty("lm_loss").GetProperty("mean").GetDouble(), 1e-9);
        Assert.Equal("harmed", worse.GetProperty("differences")[0].GetProperty("verdict").GetString());
    }

    async Task<MethodComparison> ReadAsync() =>
        MethodComparison.Find(await RunReader.ReadAsync(report.Folder, TestContext.Current.CancellationToken), [])!;

    /// <summary>
    /// Two-sided p of t = √7 · <paramref name="ratio"/> with seven degrees of freedom, in closed form for an odd number of them (Abramowitz
    /// and Stegun 26.7.3).
    /// </summary>
    static double Tail(double ratio)
    {
        var angle = Math.Atan(ratio);
        var (sine, cosine) = (Math.Sin(angle), Math.Cos(angle));
        var series = cosine + (2.0 / 3 * Math.Pow(cosine, 3)) + (2.0 / 3 * 4 / 5 * Math.Pow(cosine, 5));
        return 1 - (2 / Math.PI * (angle + (sine * series)));
    }
}
