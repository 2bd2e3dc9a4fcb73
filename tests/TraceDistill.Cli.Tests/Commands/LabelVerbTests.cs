using System.Text.Json.Nodes;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

/// <summary>Classifiers on the command line and in recipes, on generated problems and the embedded teacher's tokenizer.</summary>
public sealed class LabelVerbTests : IDisposable
{
    readonly CliHarness _cli = new()
    {
        Stages = [new ProblemsVerb(), new ClassifyVerb(), new LabelVerb(), new ReportVerb()],
        Others = [new InspectVerb()],
        Clock = TimeProvider.System,
    };

    static string Recipe =>
        $$$"""
            name: tasks
            stages:
              stories: {do: problems, family: "story2, story4", spans: true, count: 60, held_out: 12}
              teacher:
                do: classify
                architecture: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 128}
                tokenizer: {{{Path.Combine(TestPaths.RepositoryRoot, "data", "teacher")}}}
                tasks: {roles: {file: stories/train.jsonl, kind: token}}
                max_steps: 3
              student:
                do: classify
                matrix: {seed: [1, 2]}
                like: teacher
                max_steps: 3
                tasks:
                  roles: {file: stories/train.jsonl, kind: token, teacher: teacher}
                  family: {file: stories/train.jsonl, label: family}
              roles: {do: label, file: stories/held_out.jsonl, models: {teacher: teacher, student: student/roles}}
              report: {do: report}
            """;

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Run_TasksOverSeeds_ReadEachOthersModelsAndAreReported()
    {
        var code = await _cli.RunRecipeAsync(Recipe);

        Assert.True(code == 0, _cli.Error);
        var result = JsonNode.Parse(
            await File.ReadAllTextAsync(Path.Combine(_cli.RunDirectory, "roles", "labels.json"), TestContext.Current.CancellationToken)
        )!;
        Assert.Equal(["teacher", "student.1", "student.2"], result["models"]!.AsObject().Select(model => model.Key));
        Assert.Equal(12, (int?)result["labelled"]);
        Assert.Equal(3, result["comparisons"]!.AsArray().Count);
        var report = await File.ReadAllTextAsync(Path.Combine(_cli.RunDirectory, "report.html"), TestContext.Current.CancellationToken);
        Assert.Contains("<section id=\"classifiers\">", report, StringComparison.Ordinal);
        Assert.Contains("12 labelled texts", report, StringComparison.Ordinal);
        var line = File.ReadLines(Path.Combine(_cli.RunDirectory, "roles", "teacher.jsonl")).First();
        Assert.Contains("\"spans\":[", line, StringComparison.Ordinal);

        Assert.Equal(0, await _cli.RunAsync("inspect", Path.Combine(_cli.RunDirectory, "student.1", "family")));
        Assert.Contains("a classifier of texts by 2 labels: story2, story4", _cli.Out + _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Label_NewTexts_WritesLabelsWithProbabilitiesThatAreLearnedFrom()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe) == 0, _cli.Error);
        var texts = _cli.Write("new.jsonl", "{\"text\": \"tom has 4 pens.\", \"id\": \"a\"}\n{\"text\": \"what is 3+4?\"}\n");
        var model = Path.Combine(_cli.RunDirectory, "student.1", "family");

        Assert.Equal(0, await _cli.RunAsync("label", "--model", model, "--file", texts, "--out", _cli.File("labelled.jsonl")));

        var lines = File.ReadAllLines(_cli.File("labelled.jsonl")).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal("a", (string?)lines[0]["id"]);
        Assert.Equal(1, lines[1]["probabilities"]!.AsObject().Sum(label => (double)label.Value!), 1e-5);
        Assert.Equal((string?)lines[0]["label"], lines[0]["probabilities"]!.AsObject().First().Key);
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "classify",
                "--student",
                model,
                "--tasks",
                $"again={{file: {_cli.File("labelled.jsonl")}, label: probabilities}}",
                "--max-steps",
                "1",
                "--out",
                _cli.File("again")
            )
        );
    }

    /// <summary>Accuracy, macro F1, calibration and the comparison, worked out from the labels that were written.</summary>
    [Fact]
    public async Task Label_TwoClassifiersAndKnownLabels_TellsTheFiguresOfWhatTheyWrote()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe) == 0, _cli.Error);
        string[] lines = [.. Enumerable.Range(0, 40).Select(i => $"tom has {i} pens and {i * 7 % 11} cups, ann {i * i} more.")];
        // A label that no classifier has, and the number of one that it has.
        string[] truth =
        [
            .. Enumerable
                .Range(0, 40)
                .Select(i =>
                    i % 10 == 9 ? "story9"
                    : i % 10 == 8 ? "1"
                    : i % 3 == 0 ? "story2"
                    : "story4"
                ),
        ];
        var texts = _cli.Write(
            "known.jsonl",
            string.Join('\n', lines.Zip(truth, (text, label) => $$"""{"text": "{{text}}", "label": "{{label}}"}"""))
        );
        string Model(int seed) => Path.Combine(_cli.RunDirectory, $"student.{seed}", "family");

        Assert.Equal(
            0,
            await _cli.RunAsync(
                "label",
                "--models",
                $"a={Model(1)}",
                "--models",
                $"b={Model(2)}",
                "--file",
                texts,
                "--out",
                _cli.File("out")
            )
        );

        Assert.Contains("does not know 1 label of the file, which count as wrong: story9", _cli.Out + _cli.Error, StringComparison.Ordinal);
        truth = [.. truth.Select(label => label == "1" ? "story4" : label)];
        var result = JsonNode.Parse(await File.ReadAllTextAsync(_cli.File("out/labels.json"), TestContext.Current.CancellationToken))!;
        var (a, b) = (Told("a"), Told("b"));
        foreach (var (name, told) in new[] { ("a", a), ("b", b) })
        {
            var figures = result["models"]![name]!;
            var right = told.Zip(truth, (one, label) => one.Label == label).ToList();
            Assert.Equal(right.Average(isRight => isRight ? 1.0 : 0), (double)figures["accuracy"]!, 1e-12);
            var f1 = truth
                .Concat(told.Select(one => one.Label))
                .Distinct()
                .Average(label =>
                    2.0
                    * told.Zip(truth).Count(pair => pair.First.Label == label && pair.Second == label)
                    / (told.Count(one => one.Label == label) + truth.Count(known => known == label))
                );
            Assert.Equal(f1, (double)figures["items"]!["macro_f1"]!, 1e-12);
            // Confidences lie in some of fifteen bins; they are written with six digits.
            var ece =
                told.Zip(right)
                    .GroupBy(pair => Math.Ceiling(pair.First.Confidence * 15))
                    .Sum(bin => Math.Abs(bin.Sum(pair => pair.First.Confidence - (pair.Second ? 1 : 0)))) / told.Count;
            Assert.Equal(ece, (double)figures["items"]!["ece"]!, 1e-5);
        }

        var comparison = result["comparisons"]![0]!;
        var onlyA = Enumerable.Range(0, 40).Count(i => a[i].Label == truth[i] && b[i].Label != truth[i]);
        var onlyB = Enumerable.Range(0, 40).Count(i => b[i].Label == truth[i] && a[i].Label != truth[i]);
        Assert.Equal((onlyA, onlyB), ((int)comparison["only_first"]!, (int)comparison["only_second"]!));
        // Of as many coins at least as uneven a split, both ways (McNemar's exact test).
        var (coins, least) = (onlyA + onlyB, Math.Min(onlyA, onlyB));
        var tail = Enumerable.Range(0, least + 1).Sum(heads => Choose(coins, heads)) / Math.Pow(2, coins);
        Assert.Equal(Math.Min(1, 2 * tail), (double)comparison["p_value"]!, 1e-9);

        List<(string Label, double Confidence)> Told(string name) =>
            [
                .. File.ReadLines(_cli.File($"out/{name}.jsonl"))
                    .Select(line => JsonNode.Parse(line)!)
                    .Select(line => ((string)line["label"]!, (double)line["probabilities"]!.AsObject().First().Value!)),
            ];

        static double Choose(int n, int k) => Enumerable.Range(1, k).Aggregate(1.0, (product, i) => product * (n - k + i) / i);
    }

    /// <summary>A field that is called label may be anything: that it is the truth is said by naming it.</summary>
    [Fact]
    public async Task Label_FieldOfOtherLabels_IsMeasuredWithOnlyWhereItIsNamed()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe) == 0, _cli.Error);
        var texts = _cli.Write("other.jsonl", """{"text": "tom has 4 pens.", "label": "urgent"}""" + "\n");
        var model = Path.Combine(_cli.RunDirectory, "student.1", "family");
        string[] command = ["label", "--model", model, "--file", texts, "--out", _cli.File("labelled.jsonl")];

        Assert.Equal(2, await _cli.RunAsync([.. command, "--label", "label"]));
        Assert.Matches(@"^error: other\.jsonl: its labels are urgent, and \S+ knows story2, story4; name the field that holds", _cli.Error);
        Assert.False(File.Exists(_cli.File("labelled.jsonl")));

        Assert.Equal(0, await _cli.RunAsync(command));
        Assert.Contains("nothing is measured", _cli.Out + _cli.Error, StringComparison.Ordinal);
        Assert.Single(File.ReadAllLines(_cli.File("labelled.jsonl")));

        // O is a label like any other where texts are labelled.
        string[] lines = ["{\"text\": \"tom has 4 pens.\", \"label\": \"O\"}", "{\"text\": \"tom has 5.\", \"label\": \"story2\"}"];
        File.WriteAllLines(texts, lines);
        Assert.Equal(0, await _cli.RunAsync(command));
        Assert.Contains("does not know 1 label of the file, which count as wrong: O", _cli.Out + _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Label_AModelThatWrites_IsRefusedInALine()
    {
        var texts = _cli.Write("new.jsonl", "{\"text\": \"a\"}\n");
        var teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

        Assert.Equal(2, await _cli.RunAsync("label", "--model", teacher, "--file", texts));

        Assert.Contains("is a model that writes text, and no classifier; classify makes one of it", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_LabellingByAModelThatWrites_IsForeseen()
    {
        var texts = _cli.Write("new.jsonl", "{\"text\": \"a\"}\n");
        var teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");
        var recipe = $"name: labels\nstages:\n  labels: {{do: label, model: {teacher}, file: {texts}}}\n";

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--plan"));

        Assert.Contains("is a model that writes text, and no classifier", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Classify_SettingsThatDoNotGoTogether_AreToldAtOnce()
    {
        Assert.Equal(
            2,
            await _cli.RunAsync(
                "classify",
                "--tasks",
                $"1a={{file: {_cli.Write("a.jsonl", "{}")}}}",
                "--kd-alpha",
                "2",
                "--quantization-aware",
                "q4_0",
                "--out",
                _cli.File("out")
            )
        );

        Assert.Contains("either student, a model directory, or architecture", _cli.Error, StringComparison.Ordinal);
        Assert.Contains("\"1a\" names a folder and figures", _cli.Error, StringComparison.Ordinal);
        Assert.Contains("must be from 0 to 1", _cli.Error, StringComparison.Ordinal);
        Assert.Contains("is for models that are exported to GGUF", _cli.Error, StringComparison.Ordinal);
    }
}
