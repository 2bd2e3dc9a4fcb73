using System.Diagnostics;
using System.Text.RegularExpressions;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>
/// Every recipe in the repository runs to its report, from the repository's root as its first comment says, with less of everything.
/// </summary>
public sealed partial class ShippedRecipesTests : IDisposable
{
    static readonly string Program = Path.Combine(
        AppContext.BaseDirectory,
        OperatingSystem.IsWindows() ? "tracedistill.exe" : "tracedistill"
    );
    static readonly Dictionary<string, string[]> Smaller = new()
    {
        ["quickstart"] =
        [
            "problems.count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "student.max_steps=2",
            "scores.samples=2",
            "scores.max_tokens=40",
        ],
        ["ablation"] =
        [
            "student.matrix.max_traces=[2000, 4000]",
            "student.matrix.seed=[1]",
            "problems.count=24",
            "problems.held_out=12",
            "student.max_steps=1",
            "scores.max_tokens=20",
        ],
        ["ensemble"] =
        [
            "teachers.matrix.seed=[1, 2]",
            "student.teachers=[teachers.1, teachers.2]",
            "problems.count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "steps=1",
            "scores.max_tokens=20",
        ],
        ["quantized"] =
        [
            "student.matrix.seed=[1]",
            "rounded.matrix.model=[float.1]",
            "problems.count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "student.max_steps=1",
            "float.max_steps=1",
            "scores.max_tokens=20",
        ],
        ["layers"] =
        [
            "triple.matrix.seed=[1]",
            "problem_count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "steps=1",
            "scores.max_tokens=20",
        ],
        ["self"] =
        [
            "supervised.matrix.seed=[1]",
            "problem_count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "steps=1",
            "scores.max_tokens=20",
            "leaving.max_tokens=20",
        ],
        ["methods"] =
        [
            "scores.models={teacher: data/teacher, kd: kd, ce: ce, value_relations: value_relations}",
            "kd.matrix.seed=[1, 2]",
            "problem_count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "steps=1",
            "scores.max_tokens=20",
        ],
        ["sampling"] =
        [
            "ce.matrix.seed=[1]",
            "problem_count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "steps=1",
            "scores.max_tokens=20",
        ],
        ["methods_dev"] = ["problem_count=24", "others.count=12", "judge.limit=2", "steps=1"],
        ["recurrent"] =
        [
            "student.matrix.seed=[1]",
            "problems.count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "student.max_steps=1",
            "scores.max_tokens=20",
        ],
        ["pictures"] = ["seen_kd.matrix.seed=[1]", "problem_count=24", "problems.held_out=12", "steps=1", "scores.max_tokens=20"],
        ["lifelong"] =
        [
            "before.matrix.seed=[1]",
            "remembered.matrix.seed=[1]",
            "problem_count=24",
            "old.held_out=12",
            "new.held_out=12",
            "steps=2",
            "more_steps=2",
            "ewc.ewc.fisher_samples=4",
            "old_scores.max_tokens=20",
        ],
        ["tasks"] =
        [
            "family_hard.matrix.seed=[1]",
            "questions.count=60",
            "questions.held_out=24",
            "stories.count=40",
            "stories.held_out=10",
            "few=24",
            "teacher.max_steps=1",
            "steps=2",
        ],
        ["semi"] = ["agreed.matrix.seed=[1]", "problem_count=12", "problems.held_out=12", "steps=2", "scores.max_tokens=20"],
        ["privileged"] =
        [
            "supervised.matrix.seed=[1]",
            "problem_count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "steps=1",
            "scores.max_tokens=20",
        ],
        ["datafree"] =
        [
            "original_1.matrix.seed=[1]",
            "search_2.matrix.seed=[1]",
            "problem_count=24",
            "problems.held_out=12",
            "judge.limit=2",
            "part=12",
            "steps=1",
            "scores.max_tokens=20",
        ],
        ["score"] = ["problem_count=24", "problems.held_out=12", "steps=2", "scores.max_tokens=40"],
        ["teacher"] = ["teacher.max_steps=2", "problems.count=12", "scores.max_tokens=20"],
        ["gsm8k"] = ["traces.limit=2", "traces.max_tokens=40", "student.max_steps=1", "scores.limit=3", "scores.max_tokens=20"],
    };

    /// <summary>
    /// Stages that are run before the report, of recipes with many that are alike; the others are planned, with all of their options.
    /// </summary>
    static readonly Dictionary<string, string[]> Only = new()
    {
        ["methods"] = ["problems", "traces", "judge", "kd", "ce", "value_relations", "scores"],
        ["methods_dev"] = ["problems", "others", "traces", "judge", "heat", "crd"],
    };

    readonly TemporaryDirectory _folder = new();

    public static TheoryData<string> Recipes =>
        [
            .. Directory
                .GetFiles(Path.Combine(TestPaths.RepositoryRoot, "data", "recipes"), "*.yaml")
                .Select(file => Path.GetFileNameWithoutExtension(file)),
        ];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Recipes))]
    public async Task Run_ShippedRecipe_EndsWithAReport(string name)
    {
        string[] path = name == "gsm8k" ? ["--set", $"path={TestPaths.SharedData("gsm8k")}"] : [];
        string[] only = Only.TryGetValue(name, out var stages) ? ["--only", .. stages] : [];
        var (code, said) = await RunAsync(
            TestPaths.RepositoryRoot,
            [
                "run",
                $"data/recipes/{name}.yaml",
                "--out",
                _folder.File("run"),
                .. path,
                .. only,
                .. Smaller[name].SelectMany(setting => new[] { "--set", setting }),
            ]
        );

        Assert.True(code == 0, said);
        if (only.Length > 0)
        {
            // As a stage a report waits for all others.
            (code, said) = await RunAsync(TestPaths.RepositoryRoot, ["report", _folder.File("run")]);
            Assert.True(code == 0, said);
        }

        Assert.True(File.Exists(Path.Combine(_folder.File("run"), "report.html")));
        Assert.True(File.Exists(Path.Combine(_folder.File("run"), "summary.json")));
        Assert.Equal(
            name is "methods"
                || File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "data", "recipes", $"{name}.yaml")).Contains("baselines:"),
            File.Exists(Path.Combine(_folder.File("run"), "methods.csv"))
        );
    }

    [Fact]
    public async Task Readme_RecipeForAnOwnTeacher_IsUnderstood()
    {
        var recipe = YamlBlock().Match(Readme).Groups[1].Value;
        await File.WriteAllTextAsync(_folder.File("my.yaml"), recipe, TestContext.Current.CancellationToken);
        var problem = """{"problem": "What is 1 + 1?", "answer": "2"}""";
        await File.WriteAllTextAsync(_folder.File("problems.jsonl"), problem, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(_folder.File("held_out.jsonl"), problem, TestContext.Current.CancellationToken);
        var teacher = Directory.CreateDirectory(Path.Combine(_folder.Path, "path", "to", "QwQ-32B")).FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(TestPaths.RepositoryRoot, "data", "teacher"), "*.json"))
        {
            File.Copy(file, Path.Combine(teacher, Path.GetFileName(file)));
        }

        var (code, said) = await RunAsync(_folder.Path, ["run", "my.yaml", "--plan"]);

        Assert.True(code == 0, said);
        Assert.Contains("my-run: 4 stages in runs/my-run", said);
    }

    [Fact]
    public void Readme_Links_LeadSomewhere() =>
        Assert.All(Link().Matches(Readme).Select(match => match.Groups[1].Value), path =>
            Assert.True(Path.Exists(Path.Combine(TestPaths.RepositoryRoot, path)), path)
        );

    [Fact]
    public void Readme_Commands_AreThoseThatCiRuns()
    {
        Assert.Contains("\ndotnet run -c Release --project src/TraceDistill.Cli -- run data/recipes/quickstart.yaml\n", Readme);
        Assert.Contains("\ndotnet test -c Release\n", Readme);
        Assert.Contains(" dotnet test -c Release ", File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, ".ci", "run")));
    }

    static string Readme => File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "README.md"));

    static async Task<(int Code, string Said)> RunAsync(string folder, IReadOnlyList<string> arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(Program, arguments) { WorkingDirectory = folder, RedirectStandardError = true }
        )!;
        var said = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, said);
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex YamlBlock();

    [GeneratedRegex(@"\]\(([^)]+)\)")]
    private static partial Regex Link();
}
