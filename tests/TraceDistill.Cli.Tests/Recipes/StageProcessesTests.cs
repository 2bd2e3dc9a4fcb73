using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Contracts;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

/// <summary>Processes that are scripts, and the program itself.</summary>
public sealed class StageProcessesTests : IRunObserver, IDisposable
{
    static readonly string Program = Path.Combine(AppContext.BaseDirectory, "tracedistill");
    readonly TemporaryDirectory _folder = new();
    readonly List<string> _told = [];
    Action<string> _onMessage = _ => { };

    static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Run_Events_ArePassedOnAndEndWithTheSummary()
    {
        var work = await RunAsync(
            """
            echo '{"event":"progress","activity":"train","done":3,"total":9,"unit":"steps","note":"loss 1"}'
            echo '{"event":"metrics","step":3,"values":{"loss":"NaN"}}'
            echo 'from a library'
            echo 'aloud' >&2
            echo '{"event":"message","text":"that was all"}'
            echo '{"event":"result","summary":{"steps":9},"peak_memory_bytes":77}'
            """
        );

        Assert.Equal("{\"steps\":9} 77", $"{((System.Text.Json.Nodes.JsonNode)work.Summary!).ToJsonString()} {work.PeakMemoryBytes}");
        string[] told = ["aloud", "from a library", "loss NaN at 3", "that was all", "train 3/9 steps loss 1"];
        Assert.Equal(told, _told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Run_ShareOfTheCores_IsAllThatTheProcessSees()
    {
        await RunAsync(
            """
            echo "$DOTNET_PROCESSOR_COUNT $OMP_NUM_THREADS $MKL_NUM_THREADS $*"
            echo '{"event":"result","summary":null,"peak_memory_bytes":0}'
            """
        );

        Assert.Equal([$"3 3 3 problems --config {_folder.File(".options.yaml")} --out {_folder.Path}"], _told);
    }

    [Fact]
    public async Task Run_GpuOfItsOwn_IsAllThatTheProcessSees()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "runs scripts of bash");
        var stage = SampleStages.Of(new CountVerb(), new OptimizationOptions(), "sample", []);
        const string Script = """
            echo "$CUDA_VISIBLE_DEVICES"
            echo '{"event":"result","summary":null,"peak_memory_bytes":0}'
            """;

        await new StageProcesses(["bash", "-c", Script, "bash"], new GpuPool(["3"])).RunAsync(stage, Context(), 1, Token);

        Assert.Equal(["3"], _told);
    }

    [Theory]
    [InlineData("""echo '{"event":"failure","exit_code":2,"message":"no traces"}'; exit 2""", 2, "no traces")]
    [InlineData(
        "kill -9 $$",
        3,
        "its process was killed by signal 9, as the system does when memory runs out; the same command goes on from here, "
            + "with --jobs 1 one stage at a time"
    )]
    [InlineData("kill -TERM $$", 3, "its process was ended by signal 15; the same command goes on from here")]
    [InlineData("echo '{\"event\":\"message\",\"text\":\"hm\"}'", 1, "its process ended with exit code 0 and no result")]
    public async Task Run_ProcessThatFails_IsToldWithItsExitCode(string script, int code, string message)
    {
        var failure = await Assert.ThrowsAsync<ProcessFailure>(() => RunAsync(script));

        Assert.Equal((code, message), (failure.Code, failure.Message));
    }

    [Fact]
    public async Task Run_NoSuchProgram_IsAFailureFromOutside()
    {
        var failure = await Assert.ThrowsAsync<ProcessFailure>(() => RunAsync(new StageProcesses([_folder.File("none")]), null, Token));

        Assert.Equal(3, failure.Code);
        Assert.StartsWith("its process could not be started", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_Cancelled_ClosesStandardInputAndWaitsForTheEnd()
    {
        using var interruption = new CancellationTokenSource();
        _onMessage = text => interruption.Cancel();

        var failure = await Assert.ThrowsAsync<ProcessFailure>(() =>
            RunAsync(
                """
                echo '{"event":"message","text":"ready"}'
                read line || echo '{"event":"failure","exit_code":130,"message":"interrupted"}'
                exit 130
                """,
                interruption.Token
            )
        );

        Assert.Equal((130, 1), (failure.Code, _told.Count));
    }

    [Fact]
    public async Task Run_ObserverThatFails_EndsTheProcessAndFailsWithThat()
    {
        _onMessage = _ => throw new IOException("the disk is full");

        await Assert.ThrowsAsync<IOException>(() =>
            RunAsync(
                """
                echo '{"event":"message","text":"ready"}'
                read line
                echo '{"event":"message","text":"still saving"}'
                exit 130
                """
            )
        );

        Assert.Equal(["ready", "still saving"], _told);
    }

    [Fact]
    public async Task Run_Program_WritesWhatItsCommandWritesAndKeepsItsOptionsBesideIt()
    {
        var arguments = YamlConfig.ParseValue("{ family: [addition], count: 5, held_out: 0 }", "test");
        var work = await RunAsync(new StageProcesses([Program]), (ConfigMap)arguments, Token);

        Assert.Equal(5, File.ReadAllLines(_folder.File("train.jsonl")).Length);
        Assert.Contains("\"count\":5", ((System.Text.Json.Nodes.JsonNode)work.Summary!).ToJsonString());
        Assert.InRange(work.PeakMemoryBytes, 10_000_000, 2_000_000_000);
        Assert.Equal(["train: 5 problems of 1 family"], _told);
        Assert.False(File.Exists(_folder.File("metrics.jsonl")));
    }

    [Fact]
    public async Task Run_ProgramWithWrongOptions_TellsTheLineOfThem()
    {
        var arguments = YamlConfig.ParseValue("{ family: [addition], count: 0 }", "test");
        var failure = await Assert.ThrowsAsync<ProcessFailure>(() => RunAsync(new StageProcesses([Program]), (ConfigMap)arguments, Token));

        Assert.Equal(2, failure.Code);
        Assert.Contains(".options.yaml:", failure.Message, StringComparison.Ordinal);
        Assert.Empty(_told);
    }

    Task<StageWork> RunAsync(string script, CancellationToken? cancellationToken = null)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "runs scripts of bash");
        return RunAsync(new StageProcesses(["bash", "-c", script, "bash"]), null, cancellationToken ?? Token);
    }

    Task<StageWork> RunAsync(StageProcesses processes, ConfigMap? arguments, CancellationToken cancellationToken)
    {
        var stage = SampleStages.Of(new ProblemsVerb(), new ProblemsOptions { Family = ["addition"] }, "sample", [], arguments);
        return processes.RunAsync(stage, Context(), cores: 3, cancellationToken);
    }

    StageContext Context() =>
        new()
        {
            Output = _folder.Path,
            Published = _folder.File("published"),
            RunDirectory = _folder.Path,
            Observer = this,
            TimeProvider = TimeProvider.System,
        };

    void Tell(string text)
    {
        lock (_told)
        {
            _told.Add(text);
        }
    }

    void IRunObserver.Message(string text)
    {
        Tell(text);
        _onMessage(text);
    }

    void IRunObserver.Progress(string activity, long done, long? total, string unit, string? note) =>
        Tell($"{activity} {done}/{total} {unit} {note}");

    void IRunObserver.Metrics(long step, IReadOnlyDictionary<string, double> values) =>
        Tell(string.Join(' ', values.Select(pair => FormattableString.Invariant($"{pair.Key} {pair.Value} at {step}"))));
}
