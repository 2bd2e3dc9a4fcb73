using System.Runtime.InteropServices;

namespace TraceDistill.Cli.Doctor;

/// <summary>The system's description of the processor.</summary>
static class ProcessorInfo
{
    const string InfoFile = "/proc/cpuinfo";

    /// <summary>The processor's name, or the architecture where the system tells no more.</summary>
    public static string Name => Line("model name") ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>One line of Linux's <c>/proc/cpuinfo</c>, of the first core; null elsewhere.</summary>
    public static string? Line(string key) =>
        !File.Exists(InfoFile)
            ? null
            : File.ReadLines(InfoFile)
                .Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries))
                .FirstOrDefault(pair => pair.Length == 2 && pair[0] == key)
                ?[1];
}
