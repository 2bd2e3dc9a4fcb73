using System.Diagnostics;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>Every recipe in the repository runs to its report, from the repository's root as its first comment says, with less of everything.</summary>
public sealed class ShippedRecipesTests : IDisposable
{
    static readonly string Program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "tracedistill.exe" : "tracedistill");
    static readonly Dictionary<string, string[]> Smaller = new()
    {
        ["quickstart"] = ["problems.count=24", "problems.held_out=12", "judge.limit=2", "student.max_steps=2", "scores.samples=2", "scores.max_tokens=40"],
        ["ablation"] = ["problems.count=24", "problems.held_out=12", "student.max_steps=1", "scores.max_tokens=20"],
        ["teacher"] = ["teacher.max_steps=2", "problems.count=12", "scores.max_tokens=20"],
        ["gsm8k"] = ["traces.limit=2", "traces.max_tokens=40", "student.max_steps=1", "scores.limit=3", "scores.max_tokens=20"],
    };

    readonly TemporaryDirectory _folder = new();

    public static TheoryData<string> Recipes =>
        [.. Directory.GetFiles(Path.Combine(TestPaths.RepositoryRoot, "data", "recipes"), "*.yaml").Select(file => Path.GetFileNameWithoutExtension(file))];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Recipes))]
    public async Task Run_ShippedRecipe_EndsWithAReport(string name)
    {
        string[] path = name == "gsm8k" ? ["--set", $"path={TestPaths.SharedData("gsm8k")}"] : [];
        using var process = Process.Start(new ProcessStartInfo(
            Program, ["run", $"data/recipes/{name}.yaml", "--out", _folder.File("run"), .. path, .. Smaller[name].SelectMany(setting => new[] { "--set", setting })])
        {
            WorkingDirectory = TestPaths.RepositoryRoot, RedirectStandardError = true,
        })!;
        var said = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.True(process.ExitCode == 0, said);
        Assert.True(File.Exists(Path.Combine(_folder.File("run"), "report.html")));
        Assert.True(File.Exists(Path.Combine(_folder.File("run"), "summary.json")));
    }

    [Fact]
    public void Readme_Commands_AreThoseThatCiRuns()
    {
        var readme = File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "README.md"));
        Assert.Contains("\ndotnet run -c Release --project src/TraceDistill.Cli -- run data/recipes/quickstart.yaml\n", readme);
        Assert.Contains("\ndotnet test -c Release\n", readme);
        Assert.Contains("\ndotnet test -c Release ", File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, ".ci", "run")));
    }
}
