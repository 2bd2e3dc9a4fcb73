using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TraceDistill.Cli.Progress;

namespace TraceDistill.Cli.Doctor;

/// <summary>The system, the processor, memory and disk.</summary>
static class MachineChecks
{
    const long QuickstartMemory = 3_000_000_000;
    const long QuickstartDisk = 2_000_000_000;
    static readonly string[] Features = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"];

    public static IEnumerable<Check> All() =>
        [
            Check.Ok("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}"),
            Check.Ok(".NET", $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}"),
            Check.Try("processor", Processor),
            Check.Try("memory", Memory),
            Check.Try("disk", Disk),
        ];

    static Check Processor()
    {
        var found = FoundFeatures();
        return Check.WarnUnless(
            Avx2.IsSupported || RuntimeInformation.ProcessArchitecture == Architecture.Arm64,
            "processor",
            $"{ProcessorInfo.Name}, {Environment.ProcessorCount} cores, "
                + $"{(found.Count == 0 ? "no vector extensions" : string.Join(' ', found))}",
            "this process has no vectors of 256 bits (AVX2), without which training and generation take several times as long"
        );
    }

    static List<string> FoundFeatures() =>
        ProcessorInfo.Line("flags") is { } flags
            ? [.. Features.Intersect(flags.Split(' '))]
            :
            [
                .. new[] { (Features[0], Avx2.IsSupported), (Features[1], Avx512F.IsSupported) }
                    .Where(feature => feature.Item2)
                    .Select(feature => feature.Item1),
            ];

    static Check Memory()
    {
        var bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return Check.WarnUnless(
            bytes >= QuickstartMemory,
            "memory",
            $"{ProgressText.Bytes(bytes)} for this process",
            $"the quickstart needs {ProgressText.Bytes(QuickstartMemory)}"
        );
    }

    static Check Disk()
    {
        var folder = Environment.CurrentDirectory;
        WritableFolder.Probe(folder);
        var free = new DriveInfo(folder).AvailableFreeSpace;
        return Check.WarnUnless(
            free >= QuickstartDisk,
            "disk",
            $"{folder} is writable, {ProgressText.Bytes(free)} free",
            $"have {ProgressText.Bytes(QuickstartDisk)} for the quickstart"
        );
    }
}
