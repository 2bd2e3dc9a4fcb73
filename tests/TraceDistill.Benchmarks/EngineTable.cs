using System.Globalization;
using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Benchmarks;

/// <summary>
/// The gradient of a step at several sizes, beside a large product and eager autograd in the same rounds: GFLOP/s by 6·N·tokens
/// (4·N for frozen weights), N being the weights that are in products. Processor time is counted, so that other programs do
/// not; the best of the rounds is printed. Engine and product are in <c>--compute-dtype</c>, eager autograd in float32.
/// Peak memory is the process's: of one engine where <c>--only</c> names it.
/// </summary>
static class EngineTable
{
    const int K = 20;

    internal static readonly EngineSize[] Sizes =
    [
        new("0.4M", 128, 3, 8, 4, 160, 512, Length: 128, Tokens: 2_048, Tied: true),
        new("3.3M", 256, 4, 8, 4, 768, 512, Length: 128, Tokens: 4_096, Tied: true),
        new("22M", 512, 6, 8, 4, 1_408, 8_192, Length: 256, Tokens: 2_048, Tied: true),
        new("124M", 768, 12, 12, 12, 2_048, 50_304, Length: 256, Tokens: 2_048, Tied: true),
        new("0.5B-lora", 896, 24, 14, 2, 4_864, 151_936, Length: 512, Tokens: 1_024, Tied: true, Rank: 16),
    ];

    public static int Run(Arguments arguments)
    {
        var wanted = arguments.Text("sizes")?.Split(',') ?? ["0.4M", "3.3M", "22M"];
        var (rounds, workers) = (arguments.Number("rounds", 5), arguments.Number("workers", Environment.ProcessorCount));
        var only = arguments.Text("only");
        var dtype = arguments.Text("compute-dtype") == "bfloat16" ? ComputeDtype.BFloat16 : ComputeDtype.Float32;
        Console.WriteLine(
            "size | engine GFLOP/s | eager | 2048³ product | engine ÷ eager | "
                + "engine ÷ product | time with soft targets ÷ cross entropy alone | peak memory MB"
        );
        foreach (var size in Sizes.Where(size => wanted.Contains(size.Name)))
        {
            Console.WriteLine(Measure(size, rounds, workers, dtype, only != "eager", only != "engine"));
        }

        return 0;
    }

    static string Measure(EngineSize size, int rounds, int workers, ComputeDtype dtype, bool isOurs, bool isEager)
    {
        using var parameters = size.Random();
        using var adapter =
            size.Rank > 0
                ? new LoraAdapter(
                    parameters,
                    new LoraSettings(size.Rank, 2 * size.Rank, 0, [LoraAdapter.AllLinear], UseDora: false),
                    seed: 1
                )
                : null;
        using var engine = isOurs
            ? new GradientWorkers(
                adapter is null ? TrainedWeights.All(parameters) : TrainedWeights.Of(adapter),
                workers,
                microBatchTokens: 1_024,
                dtype
            )
            : null;
        var batch = size.Batch();
        var tokens = (double)batch.Sum(sequence => sequence.Ids.Length);
        var operations = (adapter is null ? 6.0 : 4.0) * parameters.Count * tokens;
        var micro = SequencePacker.Split(batch, sequence => sequence.Ids.Length, 1_024).Select(PackedBatch.Create).ToArray();
        EagerDecoder[] eager = isEager ? [.. Enumerable.Range(0, workers).Select(_ => new EagerDecoder(parameters, size.Rank))] : [];
        var (terms, hardTerms) = (
            ObjectivePlan.Classic(0.9, 1, MissingMass.TailBucket).At(TrainingPoint.First),
            ObjectivePlan.Classic(0, 1, MissingMass.TailBucket).At(TrainingPoint.First)
        );
        double ours = 0,
            hard = 0,
            theirs = 0,
            product = 0;
        for (var round = 0; round <= rounds; round++)
        {
            if (engine is not null)
            {
                ours = Math.Max(ours, Rate(operations, workers, () => engine.Accumulate(batch, terms)));
                hard = Math.Max(hard, Rate(operations, workers, () => engine.Accumulate(batch, hardTerms)));
            }

            theirs = isEager ? Math.Max(theirs, Rate(operations, workers, () => Each(workers, worker =>
                        {
                            for (var i = worker; i < micro.Length; i += workers)
                            {
                                eager[worker].Accumulate(micro[i]);
                            }
                        }))) : 0;
            product = Math.Max(product, Rate(2 * Math.Pow(2_048, 3) * workers, workers, () => Each(workers, _ => Multiply(dtype))));
        }

        Array.ForEach(eager, decoder => decoder.Dispose());
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{size.Name} | {Figure(ours):F1} | {Figure(theirs):F1} | {product:F0} | {Figure(ours / theirs):F2} | "
                + $"{Figure(ours / product):P0} | {Figure(hard / ours):F2} | {process.PeakWorkingSet64 >> 20}"
        );

        // What was not measured has no figure.
        static double? Figure(double value) => value == 0 || !double.IsFinite(value) ? null : value;
    }

    static void Each(int workers, Action<int> work) =>
        Parallel.For(0, workers, new ParallelOptions { MaxDegreeOfParallelism = workers }, worker =>
        {
            set_num_threads(1);
            work(worker);
        });

    static void Multiply(ComputeDtype dtype)
    {
        using var scope = NewDisposeScope();
        var matrix = ones(2_048, 2_048, dtype: dtype == ComputeDtype.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32);
        _ = matrix.mm(matrix);
    }

    /// <summary>GFLOP/s of all workers together, were they never interrupted.</summary>
    internal static double Rate(double operations, int workers, Action run)
    {
        var before = Environment.CpuUsage.TotalTime;
        run();
        return operations / (Environment.CpuUsage.TotalTime - before).TotalSeconds * workers / 1e9;
    }
}
