using System.Runtime.CompilerServices;
using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;

namespace TraceDistill.Cli.Doctor;

/// <summary>
/// The native libraries: libtorch computes, charts are drawn, and the cache in which a patched library may lie can be written.
/// </summary>
static class LibraryChecks
{
    const string LoadedFiles = "/proc/self/maps";

    public static IEnumerable<Check> All() =>
        [
            Check.Try("libtorch", Torch),
            Check.Try("products", Products),
            Check.Try("libstdc++", StandardLibrary),
            Check.Try("charts", Charts),
            Check.Try("cache", Cache),
        ];

    // Not inlined: the first use of the training library loads libtorch, and its failure belongs to this check alone.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static Check Torch()
    {
        var status = TorchLibrary.Status;
        using var scope = torch.NewDisposeScope();
        var sum = torch.ones(8, 8).matmul(torch.ones(8, 8)).sum().item<float>();
        var cuda = Devices.CudaDevices > 0 ? $"{Devices.CudaDevices} CUDA devices (device: cuda)" : "no CUDA device";
        var about = $"{torch.__version__}, built with TorchBackend={Devices.Backend}, {torch.get_num_threads()} threads, {cuda}; {status}";
        return sum == 512
            ? Check.Ok("libtorch", about)
            : new Check("libtorch", CheckState.Fail, $"8 × 8 ones times 8 × 8 ones sum to {sum}, not 512; {about}");
    }

    /// <summary>Which code makes the matrix products, and in which precisions.</summary>
    static Check Products()
    {
        var bfloat16 = ComputeDtypes.MultipliesBFloat16
            ? " or bfloat16"
            : " (compute_dtype: bfloat16 is computed in float32: this processor does not multiply it)";
        return Check.Ok("products", $"training: libtorch, float32{bfloat16}; generation: own code, vectors of {VectorSupport.Bits} bits");
    }

    /// <summary>The one that libtorch was loaded with: where it is too old, the line above tells of the patched copy.</summary>
    static Check StandardLibrary() =>
        !File.Exists(LoadedFiles) ? Check.Ok("libstdc++", "of no concern on this system")
        : File.ReadLines(LoadedFiles)
            .Select(line => line.Split(' ')[^1])
            .FirstOrDefault(path => Path.GetFileName(path).StartsWith("libstdc++.so", StringComparison.Ordinal))
            is { } file
            ? Check.Ok("libstdc++", file)
        : new Check("libstdc++", CheckState.Fail, "not loaded; install the system's package (libstdc++6)");

    static Check Charts()
    {
        using var plot = new ScottPlot.Plot();
        plot.Add.Signal([1.0, 2, 3]);
        return Check.Ok("charts", $"ScottPlot {ScottPlot.Version.VersionString} draws ({plot.GetImageBytes(64, 64).Length} bytes)");
    }

    static Check Cache()
    {
        var folder = TorchLibrary.CacheFolder;
        WritableFolder.Probe(folder);
        return Check.Ok("cache", $"{folder} is writable");
    }
}
