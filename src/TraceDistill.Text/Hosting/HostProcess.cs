using System.ComponentModel;
using System.Diagnostics;
using System.Text.RegularExpressions;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Hosting;

/// <summary>Starts the program again as a tokenizer host, and tells how it ended.</summary>
static partial class HostProcess
{
    const string Program = "tracedistill";

    /// <summary>A process whose pipe is broken is about to end.</summary>
    static readonly TimeSpan Ending = TimeSpan.FromSeconds(10);

    /// <exception cref="ExternalFailureException">No process could be started.</exception>
    /// <exception cref="InvalidInputException">
    /// This process is another program, and <c>tracedistill</c> does not stand beside it.
    /// </exception>
    public static HostConnection Start()
    {
        var start = Command();
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.Environment["RUST_BACKTRACE"] = "0";
        var panic = new PanicPlace();
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception failed)
        {
            throw new ExternalFailureException($"the process for Hugging Face's tokenizers could not be started: {failed.Message}", failed);
        }

        process.ErrorDataReceived += (_, line) => panic.Look(line.Data);
        process.BeginErrorReadLine();
        return new HostConnection(process.StandardInput.BaseStream, process.StandardOutput.BaseStream, () => ReasonOfEnd(process, panic));
    }

    /// <summary>
    /// Shipped as a tool, the program is a library that a file elsewhere starts; tests and other programs have it beside them.
    /// </summary>
    static ProcessStartInfo Command()
    {
        var beside = Path.Combine(AppContext.BaseDirectory, Program);
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == Program)
        {
            return new ProcessStartInfo(Environment.ProcessPath!, [TokenizerHost.Verb]);
        }

        foreach (var executable in new[] { beside, beside + ".exe" })
        {
            if (File.Exists(executable))
            {
                return new ProcessStartInfo(executable, [TokenizerHost.Verb]);
            }
        }

        return File.Exists(beside + ".dll")
            ? new ProcessStartInfo(
                Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
                [beside + ".dll", TokenizerHost.Verb]
            )
            : throw new InvalidInputException(
                $"Hugging Face's tokenizers run in a process of {Program}, which is not in {AppContext.BaseDirectory}"
            );
    }

    static HostEndedException ReasonOfEnd(Process process, PanicPlace panic)
    {
        if (!process.WaitForExit(Ending))
        {
            process.Kill();
        }

        // Without a limit it waits for the last line on standard error too.
        process.WaitForExit();
        return panic.Place is { } place
            ? new HostEndedException(true, $"Hugging Face's tokenizers stopped in {place} while they worked with it")
            : new HostEndedException(
                false,
                $"the process that ran Hugging Face's tokenizers ended with code {process.ExitCode}; run the command again"
            );
    }

    /// <summary>Where in its source the library panicked. The rest of what it says may hold pieces of the text.</summary>
    sealed partial class PanicPlace
    {
        public string? Place { get; private set; }

        public void Look(string? line)
        {
            if (line is not null && Pattern().Match(line) is { Success: true } match)
            {
                Place ??= match.Groups[1].Value.Replace('\\', '/');
            }
        }

        [GeneratedRegex(@"panicked at (?:.*[/\\]src[/\\])?(\S+?:\d+)", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
        private static partial Regex Pattern();
    }
}
