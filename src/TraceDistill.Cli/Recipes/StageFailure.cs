using TraceDistill.Cli.CommandLine;

namespace TraceDistill.Cli.Recipes;

/// <summary>A stage in a process of its own ended before it was done.</summary>
/// <param name="stage">The stage's name.</param>
/// <param name="exitCode">An <see cref="ExitCode"/>.</param>
/// <param name="reason">What went wrong, as its process told it.</param>
sealed class StageFailure(string stage, int exitCode, string reason) : Exception($"{stage}: {reason}")
{
    public int Code => exitCode;

    /// <summary>The message without the stage's name.</summary>
    public string Reason => reason;
}
