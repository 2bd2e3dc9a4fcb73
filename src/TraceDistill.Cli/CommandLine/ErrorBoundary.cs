using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;

namespace TraceDistill.Cli.CommandLine;

/// <summary>Turns what went wrong into lines on standard error and an exit code.</summary>
static class ErrorBoundary
{
    /// <param name="interruption">Tells an interruption by the user from a cancellation that nobody asked for.</param>
    public static async Task<int> RunAsync(Func<Task<int>> action, TextWriter error, CancellationToken interruption)
    {
        try
        {
            return await action();
        }
        catch (Exception exception)
        {
            var (code, message) = Judge(Unwrap(exception), interruption);
            await error.WriteLineAsync(message);
            return code;
        }
    }

    static (int Code, string Message) Judge(Exception exception, CancellationToken interruption) => exception switch
    {
        OperationCanceledException when interruption.IsCancellationRequested =>
            (ExitCode.Interrupted, "interrupted; the same command goes on from here"),
        InvalidInputException => (ExitCode.InvalidInput, $"error: {exception.Message}"),
        _ when IsDiskFull(exception) =>
            (ExitCode.InvalidInput, $"error: {OneLine(exception.Message)} (the disk is full: free some space, and the same command goes on from here)"),
        ExternalFailureException => (ExitCode.ExternalFailure, $"error: {exception.Message}"),
        UnauthorizedAccessException or IOException => (ExitCode.InvalidInput, $"error: {OneLine(exception.Message)}"),
        _ => (ExitCode.Bug, $"this is a bug in the program; please report it with the lines below and {BugContext()}\n{exception}"),
    };

    static Exception Unwrap(Exception exception) => exception switch
    {
        AggregateException { InnerExceptions: [var only] } => Unwrap(only),
        System.Reflection.TargetInvocationException { InnerException: { } inner } => Unwrap(inner),
        _ => exception,
    };

    /// <summary>A full disk counts as wrong input, however it is reported: trying again without freeing space cannot help.</summary>
    static bool IsDiskFull(Exception? exception) => exception is not null && (StorageFailure.IsDiskFull(exception) || IsDiskFull(exception.InnerException));

    static string OneLine(string message) => message.ReplaceLineEndings(" ");

    static string BugContext() => $"the output of \"tracedistill doctor\" (version {Recipes.Fingerprint.ProgramVersion})";
}
