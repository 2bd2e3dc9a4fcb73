using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using TraceDistill.Cli.Progress;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>The real program as it trains two models at the same time, each in a process of its own.</summary>
public sealed class SideBySideTests : IDisposable
{
    const string Recipe = """
        name: pair
        seed: 5
        stages:
          problems: { do: problems, family: addition, count: 6, held_out: 3 }
          first:    { do: pretrain, problems: problems/train.jsonl,
                      architecture: { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 600 },
                      vocab_size: 300, max_steps: 600, batch_tokens: 300, logging_steps: 50, save_steps: 1000 }
          second:   { like: first, seed: 6 }
        """;

    static readonly string Program = Path.Combine(AppContext.BaseDirectory, "tracedistill");
    readonly TemporaryDirectory _folder = new();

    static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Run_TwoTrainingsStoppedAndKilled_EndWithTheBitsOfOneAfterTheOther()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "stops and kills by signal, and finds processes in /proc");
        await File.WriteAllTextAsync(_folder.File("pair.yaml"), Recipe, Token);
        var (apart, beside) = (_folder.File("apart"), _folder.File("beside"));
        Assert.Equal(0, (await RunAsync(apart, jobs: 1)).Code);

        // Told to end, the processes save where they are; the run ends after them.
        List<int> children = [];
        var (code, said, _) = await RunAsync(beside, jobs: 2, process =>
        {
            children = ChildrenOf(process.Id);
            Signal(process, "TERM");
        });
        Assert.True(code == 130 && said.EndsWith("interrupted; the same command goes on from here\n", StringComparison.Ordinal), said);
        Assert.Equal(2, children.Count);
        Assert.DoesNotContain(children, IsRunning);

        // Killed, it cannot tell them: they see that it is gone.
        (code, said, _) = await RunAsync(beside, jobs: 2, process =>
        {
            children = ChildrenOf(process.Id);
            process.Kill();
        });
        Assert.True(code == 137, said);
        Assert.Equal(2, children.Count);
        await Task.WhenAll(children.Select(EndAsync));

        (code, said, var json) = await RunAsync(beside, jobs: 2);
        Assert.True(code == 0, said);
        var outcomes = JsonNode.Parse(json)!["stages"]!.AsArray().Select(stage => (string)stage!["outcome"]!);
        Assert.Equal(["unchanged", "resumed", "resumed"], outcomes);
        Assert.All(["first/model.safetensors", "second/model.safetensors", "first/tokenizer.json"], name =>
            Assert.Equal(File.ReadAllBytes(Path.Combine(apart, name)), File.ReadAllBytes(Path.Combine(beside, name)))
        );
        Assert.Equal(Metrics(apart), Metrics(beside));
        Assert.DoesNotContain(Directory.GetDirectories(beside), folder => Path.GetFileName(folder).StartsWith('.'));
        Assert.Contains("first: train: 600/600 steps", said);
        Assert.Contains("second: train: 600/600 steps", said);
    }

    /// <param name="whenBothTrain">Called once both stages have begun to train.</param>
    async Task<(int Code, string Said, string Json)> RunAsync(string runDirectory, int jobs, Action<Process>? whenBothTrain = null)
    {
        string[] arguments = ["run", _folder.File("pair.yaml"), "--out", runDirectory, "--jobs", $"{jobs}", "--json"];
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var json = process.StandardOutput.ReadToEndAsync(Token);
        var (said, training) = (new List<string>(), new HashSet<string>());
        // On a thread of its own: other tests may keep those of the pool busy for as long as the trainings take.
        await Task.Factory.StartNew(
            () =>
            {
                while (process.StandardError.ReadLine() is { } line)
                {
                    said.Add(line);
                    if (line.Split(": pretraining a model") is [var stage, _] && training.Add(stage) && training.Count == 2)
                    {
                        whenBothTrain?.Invoke(process);
                    }
                }
            },
            Token,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
        await process.WaitForExitAsync(Token);
        return (process.ExitCode, string.Concat(said.Select(line => line + "\n")), await json);
    }

    static void Signal(Process process, string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    static List<int> ChildrenOf(int parent) =>
        [
            .. Directory
                .GetDirectories("/proc")
                .Select(Path.GetFileName)
                .Where(name => name!.All(char.IsAsciiDigit))
                .Select(name => int.Parse(name!, CultureInfo.InvariantCulture))
                .Where(id => Stat(id) is [_, var of, ..] && of == $"{parent}"),
        ];

    /// <summary>A process that has ended and that nobody has asked about is none any more.</summary>
    static bool IsRunning(int id) => Stat(id) is [not "Z", ..];

    /// <summary>State and parent of a process, among others; nothing where there is none.</summary>
    static string[] Stat(int id)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{id}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return [];
        }
    }

    static async Task EndAsync(int id)
    {
        while (IsRunning(id))
        {
            Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    static List<string> Metrics(string runDirectory) =>
        [
            .. MetricsLog
                .Read(Path.Combine(runDirectory, "metrics.jsonl"))
                .Select(line => FormattableString.Invariant($"{line.Stage} {line.Step} {line.Values["loss"]:R}"))
                .Order(StringComparer.Ordinal),
        ];
}
