using System.Diagnostics;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Shards;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>The real program in processes of its own, killed without warning.</summary>
public sealed class KillTests : IDisposable
{
    const int Killed = 137;
    static readonly string Program = Path.Combine(
        AppContext.BaseDirectory,
        OperatingSystem.IsWindows() ? "tracedistill.exe" : "tracedistill"
    );
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Run_KilledInEveryStage_EndsWithTheFilesOfAnUninterruptedRun()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "kills by signal");
        var recipe = _folder.File("miniature.yaml");
        await File.WriteAllTextAsync(recipe, MiniatureRecipe.Yaml, TestContext.Current.CancellationToken);
        var (whole, killed) = (_folder.File("whole"), _folder.File("killed"));
        Assert.Equal(0, await RunAsync(recipe, whole, killIn: null));

        foreach (var stage in MiniatureRecipe.Stages)
        {
            Assert.Equal(Killed, await RunAsync(recipe, killed, stage));
        }

        Assert.Equal(0, await RunAsync(recipe, killed, killIn: null));

        string[] files =
        [
            "problems/train.jsonl",
            "teacher/model.safetensors",
            "student/model.safetensors",
            "baseline/model.safetensors",
            "scores/evaluation.json",
        ];
        Assert.All(files, name =>
            Assert.Equal(File.ReadAllBytes(Path.Combine(whole, name)), File.ReadAllBytes(Path.Combine(killed, name)))
        );
        Assert.Equal(await TraceIds(whole), await TraceIds(killed));
        Assert.Equal(Steps(whole), Steps(killed));
        Assert.DoesNotContain(Directory.GetDirectories(killed), folder => Path.GetFileName(folder).StartsWith('.'));
    }

    /// <param name="killIn">The stage after whose second line the process is killed.</param>
    static async Task<int> RunAsync(string recipe, string runDirectory, string? killIn)
    {
        string[] arguments = ["run", recipe, "--out", runDirectory, "--jobs", "1"];
        using var process = Process.Start(new ProcessStartInfo(Program, arguments) { RedirectStandardError = true })!;
        var seen = 0;
        while (await process.StandardError.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (killIn is not null && line.StartsWith($"{killIn}: ", StringComparison.Ordinal) && ++seen == 2)
            {
                process.Kill();
            }
        }

        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode;
    }

    static async Task<List<string>> TraceIds(string runDirectory)
    {
        var reader = await ShardReader.OpenAsync(
            Path.Combine(runDirectory, "traces"),
            cancellationToken: TestContext.Current.CancellationToken
        );
        return await reader
            .ReadAsync(TestContext.Current.CancellationToken)
            .Select(trace => trace.Id)
            .ToListAsync(TestContext.Current.CancellationToken);
    }

    static List<(string, long)> Steps(string runDirectory) =>
        [.. MetricsLog.Read(Path.Combine(runDirectory, "metrics.jsonl")).Select(line => (line.Stage, line.Step))];
}
