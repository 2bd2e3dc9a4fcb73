using System.Text.RegularExpressions;
using TraceDistill.Cli.Recipes;
using TraceDistill.Models.Native;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.CommandLine;

/// <summary>Turns what went wrong into lines on standard error and an exit code.</summary>
static class ErrorBoundary
{
    const string Interrupted = "interrupted; the same command goes on from here";

    /// <param name="error">Takes what went wrong.</param>
    /// <param name="interruption">Tells an interruption by the user from a cancellation that nobody asked for.</param>
    public static Task<int> RunAsync(Func<Task<int>> action, TextWriter error, CancellationToken interruption) =>
        RunAsync(action, (code, message) => error.WriteLine(VisibleText.Of(Line(code, message))), interruption);

    /// <inheritdoc cref="RunAsync(Func{Task{int}}, TextWriter, CancellationToken)"/>
    /// <param name="tell">Takes the exit code and what went wrong.</param>
    public static async Task<int> RunAsync(Func<Task<int>> action, Action<int, string> tell, CancellationToken interruption)
    {
        try
        {
            return await action();
        }
        catch (Exception exception)
        {
            var judged = Failures(exception).Select(failure => Judge(failure, interruption)).Distinct().ToList();
            foreach (var (code, message) in judged)
            {
                tell(code, message);
            }

            return judged[0].Code;
        }
    }

    /// <summary>The line that is shown of a failure.</summary>
    public static string Line(int code, string message) =>
        code is ExitCode.InvalidInput or ExitCode.ExternalFailure ? $"error: {message}" : message;

    static (int Code, string Message) Judge(Exception exception, CancellationToken interruption) =>
        exception switch
        {
            OperationCanceledException when interruption.IsCancellationRequested => (ExitCode.Interrupted, Interrupted),
            StageFailure stage => Judge(stage.Cause, interruption) is var (code, message) && code == ExitCode.Interrupted
                ? (code, message)
                : (code, stage.Describe(message)),
            ProcessFailure { Code: ExitCode.Interrupted } => (ExitCode.Interrupted, Interrupted),
            ProcessFailure process => (process.Code, process.Message),
            _ when StorageFailure.IsDiskFull(exception) => (ExitCode.ExternalFailure, DiskFull(OneLine(exception.Message))),
            InvalidInputException => (ExitCode.InvalidInput, exception.Message),
            ExternalFailureException => (ExitCode.ExternalFailure, exception.Message),
            RegexMatchTimeoutException slow => (
                ExitCode.InvalidInput,
                $"the regular expression {slow.Pattern} takes more than "
                    + $"{slow.MatchTimeout.TotalSeconds:0} s over one text; give a simpler one"
            ),
            _ when exception is OutOfMemoryException || MemoryFailure.IsMemoryFull(exception) => (
                ExitCode.ExternalFailure,
                "the memory of this machine or its GPU is not enough; end other programs, or take a smaller model or batch"
            ),
            UnauthorizedAccessException or IOException => (ExitCode.InvalidInput, OneLine(exception.Message)),
            _ => (ExitCode.Bug, $"this is a bug in the program; please report it with the lines below and {BugContext()}\n{exception}"),
        };

    /// <summary>The failures in their order: stages side by side may fail each for a reason of its own.</summary>
    static IEnumerable<Exception> Failures(Exception exception) =>
        exception switch
        {
            StageFailure stage => Failures(stage.Cause).Select(stage.By),
            AggregateException { InnerExceptions.Count: > 0 } several => several.InnerExceptions.SelectMany(Failures),
            System.Reflection.TargetInvocationException { InnerException: { } inner } => Failures(inner),
            _ => [exception],
        };

    /// <summary>A full disk is one kind of failure, whatever was being written and however that is reported.</summary>
    static string DiskFull(string message) =>
        message.Contains("the disk is full", StringComparison.Ordinal)
            ? message
            : $"{message} (the disk is full: free some space, and the same command goes on from here)";

    static string OneLine(string message) => message.ReplaceLineEndings(" ");

    static string BugContext() => $"the output of \"tracedistill doctor\" (version {Fingerprint.ProgramVersion})";
}
