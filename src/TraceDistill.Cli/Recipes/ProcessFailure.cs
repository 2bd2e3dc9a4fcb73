using TraceDistill.Cli.CommandLine;

namespace TraceDistill.Cli.Recipes;

/// <summary>The process of a stage ended before the stage was done.</summary>
/// <param name="exitCode">An <see cref="ExitCode"/>.</param>
/// <param name="reason">The error as the process reported it.</param>
sealed class ProcessFailure(int exitCode, string reason) : Exception(reason)
{
    public int Code => exitCode;
}
