using System.Text.RegularExpressions;
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
            await error.WriteLineAsync(VisibleText.Of(message));
            return code;
        }
    }

    static (int Code, string Message) Judge(Exception exception, CancellationToken interruption) => exception switch
    {
        OperationCanceledException when interruption.IsCancellationRequested =>
            (ExitCode.Interrupted, "interrupted; the same command goes on from here"),
        _ when StorageFailure.IsDiskFull(exception) => (ExitCode.ExternalFailure, $"error: {DiskFull(OneLine(exception.Message))}"),
        InvalidInputException => (ExitCode.InvalidInput, $"error: {exception.Message}"),
        ExternalFailureException => (ExitCode.ExternalFailure, $"error: {exception.Message}"),
        RegexMatchTimeoutException slow =>
            (ExitCode.InvalidInput, $"error: the regular expression {slow.Pattern} takes more than {slow.MatchTimeout.TotalSeconds:0} s over one text; give a simpler one"),
        OutOfMemoryException => (ExitCode.ExternalFailure, "error: the memory of this machine is not enough; end other programs, or take a smaller model or batch"),
        UnauthorizedAccessException or IOException => (ExitCode.InvalidInput, $"error: {OneLine(exception.Message)}"),
        _ => (ExitCode.Bug, $"this is a bug in the program; please report it with the lines below and {BugContext()}\n{exception}"),
    };

    static Exception Unwrap(Exception exception) => exception switch
    {
        AggregateException { InnerExceptions: [var only] } => Unwrap(only),
        System.Reflection.TargetInvocationException { InnerException: { } inner } => Unwrap(inner),
        _ => exception,
    };

    /// <summary>A full disk is one kind of failure, whatever was being written and however that is reported.</summary>
    static string DiskFull(string message) => message.Contains("the disk is full", StringComparison.Ordinal)
        ? message
        : $"{message} (the disk is full: free some space, and the same command goes on from here)";

    static string OneLine(string message) => message.ReplaceLineEndings(" ");

    static string BugContext() => $"the output of \"tracedistill doctor\" (version {Recipes.Fingerprint.ProgramVersion})";
}
