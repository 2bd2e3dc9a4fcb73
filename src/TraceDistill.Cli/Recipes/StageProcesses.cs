using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// Runs each stage in a process of its own: the command of its verb, with its options in a file. The process lives no longer than this
/// one: its standard input ends with it, however it ends, and is closed to ask for an orderly end.
/// </summary>
/// <param name="program">The program's file and the arguments before its own.</param>
/// <param name="gpus">GPUs that the processes share out; null for those of this machine.</param>
sealed class StageProcesses(IReadOnlyList<string> program, GpuPool? gpus = null) : IStageHost
{
    /// <summary>Variables that set the cores of a process: .NET's own, OpenMP's and MKL's.</summary>
    static readonly string[] CoreVariables = ["DOTNET_PROCESSOR_COUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS"];

    /// <summary>Exit codes from here on are 128 + the signal that ended a process.</summary>
    const int Signalled = 128;

    const int KillSignal = 9;

    readonly ConcurrentDictionary<string, Process> _running = new();

    /// <summary>To count them loads libtorch.</summary>
    readonly Lazy<GpuPool> _gpus = new(() => gpus ?? GpuPool.OfThisMachine());

    /// <summary>Processes of the program that this one is.</summary>
    public StageProcesses()
        : this(ThisProgram()) { }

    public async Task<StageWork> RunAsync(PlannedStage stage, StageContext context, int cores, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var options = StageFolder.OptionsFileIn(context.Output!);
        AtomicFile.WriteAllText(options, ResolvedRecipe.ToYaml(stage.Arguments));
        var gpu = _gpus.Value.Take(stage);
        try
        {
            using var process = Start(stage, context, options, cores, gpu);
            _running[stage.Name] = process;
            using var stop = cancellationToken.Register(() => Stop(process));
            return await ListenAsync(process, context.Observer);
        }
        finally
        {
            _running.TryRemove(stage.Name, out _);
            _gpus.Value.Return(gpu);
        }
    }

    public string? Shortage(PlannedStage stage, IReadOnlyList<PlannedStage> running) => _gpus.Value.Shortage(stage, running);

    public long MemoryOf(string stage)
    {
        try
        {
            if (_running.TryGetValue(stage, out var process))
            {
                process.Refresh();
                return process.WorkingSet64;
            }
        }
        catch (InvalidOperationException)
        {
            // It has just ended.
        }

        return 0;
    }

    Process Start(PlannedStage stage, StageContext context, string options, int cores, string? gpu)
    {
        var command = stage.Verb.Name.Split(' ');
        var start = new ProcessStartInfo(program[0], [.. program.Skip(1), .. command, "--config", options, "--out", context.Output!])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        start.Environment[StageOrder.Variable] = new StageOrder(context.RunDirectory!, context.Published!).ToText();
        foreach (var variable in CoreVariables)
        {
            start.Environment[variable] = cores.ToString(CultureInfo.InvariantCulture);
        }

        if (gpu is not null)
        {
            start.Environment[GpuPool.Variable] = gpu;
        }

        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new ProcessFailure(
                ExitCode.ExternalFailure,
                $"its process could not be started ({exception.Message}); --jobs 1 needs none"
            );
        }
    }

    /// <summary>Passes on what the process tells until it has ended.</summary>
    static async Task<StageWork> ListenAsync(Process process, IRunObserver observer)
    {
        var complaints = PassOnAsync(process.StandardError, observer);
        StageEvent? last = null;
        ExceptionDispatchInfo? failure = null;
        while (await process.StandardOutput.ReadLineAsync(CancellationToken.None) is { } line)
        {
            try
            {
                last = StageEvent.Parse(line);
                Tell(last, line, observer);
            }
            catch (Exception exception) when (failure is null)
            {
                // What it tells has nowhere to go, such as on a full disk: its work ends as it would in this process.
                failure = ExceptionDispatchInfo.Capture(exception);
                Stop(process);
            }
            catch
            {
                // The same again, until it has ended.
            }
        }

        await complaints;
        await process.WaitForExitAsync(CancellationToken.None);
        failure?.Throw();
        return (last, process.ExitCode) switch
        {
            (StageDone done, ExitCode.Done) => new StageWork(done.Summary, done.PeakMemoryBytes),
            (StageFailed failed, _) => throw new ProcessFailure(failed.ExitCode, failed.Message),
            (_, Signalled + KillSignal) => throw new ProcessFailure(
                ExitCode.ExternalFailure,
                "its process was killed by signal 9, as the system does when memory runs out; the same command goes on from here, "
                    + "with --jobs 1 one stage at a time"
            ),
            (_, > Signalled and var code) => throw new ProcessFailure(
                ExitCode.ExternalFailure,
                $"its process was ended by signal {code - Signalled}; the same command goes on from here"
            ),
            (_, var code) => throw new ProcessFailure(ExitCode.Bug, $"its process ended with exit code {code} and no result"),
        };
    }

    static void Tell(StageEvent? told, string line, IRunObserver observer)
    {
        switch (told)
        {
            case StageProgress progress:
                observer.Progress(progress.Activity, progress.Done, progress.Total, progress.Unit, progress.Note);
                break;
            case StageMetrics metrics:
                observer.Metrics(metrics.Step, metrics.Values);
                break;
            case StageMessage message:
                observer.Message(message.Text);
                break;
            case null:
                observer.Message(line);
                break;
        }
    }

    static async Task PassOnAsync(StreamReader lines, IRunObserver observer)
    {
        while (await lines.ReadLineAsync(CancellationToken.None) is { } line)
        {
            observer.Message(line);
        }
    }

    static void Stop(Process process)
    {
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended by itself.
        }
    }

    /// <summary>Command that starts this program again: by its own file, or by <c>dotnet</c> and its assembly.</summary>
    static IReadOnlyList<string> ThisProgram()
    {
        var assembly = typeof(StageProcesses).Assembly;
        var name = assembly.GetName().Name!;
        var own = Environment.ProcessPath!;
        var beside = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? $"{name}.exe" : name);
        return Path.GetFileNameWithoutExtension(own) == name ? [own]
            : File.Exists(beside) ? [beside]
            : [own, Path.Combine(AppContext.BaseDirectory, $"{name}.dll")];
    }
}
