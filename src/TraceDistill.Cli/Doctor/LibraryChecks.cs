using System.Runtime.CompilerServices;
using TraceDistill.Training.Native;
using TorchSharp;

namespace TraceDistill.Cli.Doctor;

/// <summary>The native libraries: libtorch computes, charts are drawn, and the cache in which a patched library may lie can be written.</summary>
static class LibraryChecks
{
    public static IEnumerable<Check> All() =>
    [
        Check.Try("libtorch", Torch),
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
        var about = $"{torch.__version__}, {torch.get_num_threads()} threads, CUDA {(torch.cuda.is_available() ? $"on {torch.cuda.device_count()} devices" : "not available")}; {status}";
        return sum == 512 ? Check.Ok("libtorch", about) : new Check("libtorch", CheckState.Fail, $"8 × 8 ones times 8 × 8 ones sum to {sum}, not 512; {about}");
    }

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
