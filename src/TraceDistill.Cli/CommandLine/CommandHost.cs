using System.Text.Json;
using Spectre.Console;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Secrets;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;

namespace TraceDistill.Cli.CommandLine;

/// <summary>The outside world of a command: where it prints, what time it is, and when it is to stop.</summary>
/// <param name="Output">For results: one JSON object with <c>--json</c>.</param>
/// <param name="Error">For people.</param>
/// <param name="IsInteractive">True where <paramref name="Error"/> is a terminal that can redraw lines.</param>
sealed record CommandHost(
    TextWriter Output,
    TextWriter Error,
    bool IsInteractive,
    TimeProvider TimeProvider,
    CancellationToken Interruption
)
{
    /// <summary>True if <see cref="Output"/> is a terminal, which may have colours.</summary>
    public bool IsOutputTerminal { get; init; }

    /// <summary>The user's file of keys and the hosts they may go to; null where there is none.</summary>
    public string? AllowedKeysFile { get; init; }

    /// <summary>The run that this process works for; null for a command of its own.</summary>
    public StageChannel? Run { get; init; }

    /// <summary>Standard output and standard error of this process, or the run that started it.</summary>
    public static CommandHost Process(CancellationToken interruption) =>
        new(
            Console.Out,
            Console.Error,
            !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
            TimeProvider.System,
            interruption
        )
        {
            IsOutputTerminal = !Console.IsOutputRedirected,
            AllowedKeysFile = KeyPermissions.UserFile,
            Run = StageChannel.OfThisProcess(TimeProvider.System),
        };

    /// <summary>Runs <paramref name="action"/> with an observer that shows its progress.</summary>
    public async Task<T> ObserveAsync<T>(Func<IRunObserver, Task<T>> action)
    {
        if (Run is not null)
        {
            return await action(Run);
        }

        if (!IsInteractive)
        {
            return await action(new PlainProgress(Error, TimeProvider));
        }

        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Error) });
        await using var live = new LiveProgress(console, TimeProvider);
        return await action(live);
    }

    /// <summary>Tells why the command ends with an exit code other than 0.</summary>
    public void TellFailure(int exitCode, string message)
    {
        if (Run is not null)
        {
            Run.Failure(exitCode, message);
        }
        else
        {
            Error.WriteLine(VisibleText.Of(ErrorBoundary.Line(exitCode, message)));
        }
    }

    public void WriteJson(object result) => Output.WriteLine(JsonSerializer.Serialize(result, JsonFile.Document));
}
