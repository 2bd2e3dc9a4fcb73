namespace TraceDistill.Cli.Commands;

/// <summary>A verb's result that decides the exit code by itself.</summary>
interface IVerdict
{
    int ExitCode { get; }
}
