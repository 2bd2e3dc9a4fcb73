using System.Diagnostics;
using System.Globalization;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Generation;
using TraceDistill.Training.Models;

namespace TraceDistill.Benchmarks;

/// <summary>Peak memory of loading a checkpoint for generation, beside the checkpoint's size; in a process of its own.</summary>
static class LoadBenchmark
{
    /// <summary>Qwen2.5-0.5B's.</summary>
    static readonly ModelConfiguration Shape = new()
    {
        Family = ModelFamily.Qwen2, VocabSize = 151_936, HiddenSize = 896, IntermediateSize = 4_864, NumHiddenLayers = 24, NumAttentionHeads = 14, NumKeyValueHeads = 2,
        HeadDim = 64, MaxPositionEmbeddings = 32_768, RopeTheta = 1_000_000, TieWordEmbeddings = true,
    };

    public static int Run(Arguments arguments)
    {
        var temporary = Directory.CreateTempSubdirectory("tracedistill-benchmark-");
        try
        {
            if (arguments.Text("model") is not { } directory)
            {
                directory = arguments.Text("keep") ?? temporary.FullName;
                Write(directory, arguments.Text("dtype") switch { "float32" => TensorDtype.Float32, "float16" => TensorDtype.Float16, _ => TensorDtype.BFloat16 });
            }

            using var child = Process.Start(Environment.ProcessPath!, ["load-client", "--model", directory])!;
            child.WaitForExit();
            return child.ExitCode;
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
        var (before, start) = (PeakBytes(), Stopwatch.GetTimestamp());
        using var engine = GenerationEngine.Load(directory, new EngineOptions { CacheBytes = 16 << 20 });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"checkpoint {bytes >> 20} MiB: loaded in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, peak {(PeakBytes() - before) >> 20} MiB more than before, {(double)(PeakBytes() - before) / bytes:0.000} times its size"));
        return 0;
    }

    static void Write(string directory, TensorDtype dtype)
    {
        using var parameters = new ModelParameters(Shape);
        var block = new float[1 << 20];
        var random = new Random(1);
        for (var i = 0; i < block.Length; i++)
        {
            block[i] = (float)((random.NextDouble() - 0.5) * 0.07);
        }

        for (var first = 0; first < parameters.Count; first += block.Length)
        {
            block.AsSpan(0, (int)Math.Min(block.Length, parameters.Count - first)).CopyTo(parameters.Flat.Span[first..]);
        }

        foreach (var name in parameters.Names.Where(name => name.EndsWith("norm.weight", StringComparison.Ordinal)))
        {
            parameters.Values(name).Fill(1);
        }

        ModelDirectory.Save(directory, parameters, dtype);
    }

    static long PeakBytes() =>
        long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal))["VmHWM:".Length..^2], CultureInfo.InvariantCulture) << 10;
}
