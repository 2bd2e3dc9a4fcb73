namespace TraceDistill.Cli.CommandLine;

/// <summary>Exit codes of the process.</summary>
static class ExitCode
{
    public const int Done = 0;

    /// <summary>A bug of the program.</summary>
    public const int Bug = 1;

    /// <summary>Usage, configuration or input is wrong; retrying cannot help.</summary>
    public const int InvalidInput = 2;

    /// <summary>Something outside failed; retrying can help.</summary>
    public const int ExternalFailure = 3;

    /// <summary>Interrupted; the same command goes on from where it stopped.</summary>
    public const int Interrupted = 130;
}
