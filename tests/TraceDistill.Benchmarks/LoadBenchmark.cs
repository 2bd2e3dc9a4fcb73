using System.Diagnostics;
using System.Globalization;
using TraceDistill.Inference;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Peak memory of loading a checkpoint for generation and for training adapters, beside the
/// checkpoint's size; each in a process of its own.
/// </summary>
static class LoadBenchmark
{
    public static int Run(Arguments arguments)
    {
        var temporary = Directory.CreateTempSubdirectory("tracedistill-benchmark-");
        try
        {
            if (arguments.Text("model") is not { } directory)
            {
                directory = arguments.Text("keep") ?? temporary.FullName;
                LargeModel.Write(
                    directory,
                    arguments.Text("dtype") switch
                    {
                        "float32" => TensorDtype.Float32,
                        "float16" => TensorDtype.Float16,
                        _ => TensorDtype.BFloat16,
                    }
                );
            }

            return Enumerable.Max(["generation", "adapters"], purpose =>
            {
                using var child = Process.Start(Environment.ProcessPath!, ["load-client", "--model", directory, "--for", purpose])!;
                child.WaitForExit();
                return child.ExitCode;
            });
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }

    public static int Load(Arguments arguments)
    {
        var directory = arguments.Text("model")!;
        var bytes = Directory.EnumerateFiles(directory, "*.safetensors").Sum(file => new FileInfo(file).Length);
        var purpose = arguments.Text("for");
        TorchSharp.torch.set_num_threads(1); // libtorch is there before the counting starts
        var (before, start) = (PeakBytes(), Stopwatch.GetTimestamp());
        using IDisposable model =
            purpose == "adapters"
                ? ModelDirectory.LoadFrozen(directory)
                : GenerationEngine.Load(directory, new EngineOptions { CacheBytes = 16 << 20 });
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"checkpoint {bytes >> 20} MiB: loaded for {purpose} in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, peak "
                    + $"{(PeakBytes() - before) >> 20} MiB more than before, {(double)(PeakBytes() - before) / bytes:0.000} times its size"
            )
        );
        return 0;
    }

    static long PeakBytes() => Process.GetCurrentProcess().PeakWorkingSet64;
}
