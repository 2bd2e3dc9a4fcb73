using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using static TorchSharp.torch;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Memory that output projection and objectives take beside weights, their gradient, and the
/// hidden states and theirs: 8,192 tokens, 151,936 words.
/// </summary>
static class HeadBenchmark
{
    const string Status = "/proc/self/status",
        Clear = "/proc/self/clear_refs";

    public static int Run(Arguments arguments)
    {
        int tokens = arguments.Number("tokens", 8_192),
            vocabulary = arguments.Number("vocabulary", 151_936),
            hidden = arguments.Number("hidden-size", 896);
        var size = new EngineSize("head", hidden, 1, 8, 8, hidden, vocabulary, Length: 1_024, Tokens: tokens, Tied: true);
        using var scope = NewDisposeScope();
        using var parameters = new ModelParameters(size.Architecture().Configure(vocabulary, [0]));
        parameters.Initialize(seed: 1);
        using var gradient = new FloatBuffer(parameters.Count);
        using var decoder = new Decoder(TrainedWeights.All(parameters), gradient);
        var head = new ChunkedHead(decoder);
        var batch = PackedBatch.Create(size.Batch());
        var states = randn(batch.Rows.Length, hidden);
        var terms = ObjectivePlan.Classic(0.9, 1, MissingMass.TailBucket).At(TrainingPoint.First);
        set_num_threads(Environment.ProcessorCount);
        gradient.Span.Fill(1); // committed before it is measured
        GC.Collect();
        File.WriteAllText(Clear, "5"); // the peak begins anew
        var (before, start) = (Kilobytes("VmRSS"), Stopwatch.GetTimestamp());
        var (slopes, totals) = head.ForwardBackward(states, batch, terms);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{(Kilobytes("VmHWM") - before) / 1024.0:F0} MiB, of which the gradient of the "
                    + $"hidden states {slopes.numel() * 4 / 1048576.0:F0} ({totals.Tokens:N0} tokens "
                    + $"× {vocabulary:N0} words, {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s)"
            )
        );
        return 0;
    }

    static long Kilobytes(string name) =>
        long.Parse(
            File.ReadLines(Status)
                .First(line => line.StartsWith(name, StringComparison.Ordinal))
                .Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture
        );
}
