using System.Diagnostics;
using System.Globalization;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens/s of the gradient of a step against the length of sequences, the vocabulary and the size of the model, one of them at a
/// time, by the clock; the best of the rounds is told, and how busy it kept the cores, which other programs keep from it.
/// </summary>
static class ThroughputBenchmark
{
    static readonly EngineSize Base = new("22M", 512, 6, 8, 4, 1_408, 8_192, Length: 256, Tokens: 2_048, Tied: true);

    public static int Run(Arguments arguments)
    {
        var (rounds, workers) = (arguments.Number("rounds", 2), arguments.Number("workers", Environment.ProcessorCount));
        Console.WriteLine("model | vocabulary | tokens of a sequence | tokens/s | GFLOP/s of products | cores busy");
        int[] lengths = [256, 1_024, 4_096, 16_384, 32_768],
            vocabularies = [4_096, 32_768, 151_936];
        EngineSize[] sizes =
        [
            .. lengths.Select(length => Base with { Length = length, Tokens = Math.Max(length, Base.Tokens) }),
            .. vocabularies.Select(vocabulary => Base with { Vocabulary = vocabulary }),
            .. EngineTable.Sizes.Where(size => size.Rank == 0 && size.Name != Base.Name),
        ];
        var only = arguments.Text("only");
        foreach (var size in sizes.Where(size => only is null || size.Name == only))
        {
            Console.WriteLine(Measure(size, rounds, workers));
        }

        return 0;
    }

    static string Measure(EngineSize size, int rounds, int workers)
    {
        using var parameters = size.Random();
        using var engine = new GradientWorkers(TrainedWeights.All(parameters), workers, microBatchTokens: 1_024);
        var (batch, terms) = (size.Batch(), ObjectivePlan.Classic(0.9, 1, MissingMass.TailBucket).At(TrainingPoint.First));
        var (tokens, best, busy) = (batch.Sum(sequence => (long)sequence.Ids.Length), 0.0, 0.0);
        engine.Accumulate(size.Length > 4_096 ? (size with { Length = 256, Tokens = 512 }).Batch() : batch, terms); // code is compiled
        for (var round = 0; round < rounds; round++)
        {
            var (start, before) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            engine.Accumulate(batch, terms);
            var (seconds, used) = (Stopwatch.GetElapsedTime(start).TotalSeconds, Environment.CpuUsage.TotalTime - before);
            (best, busy) = tokens / seconds > best ? (tokens / seconds, used.TotalSeconds / (seconds * workers)) : (best, busy);
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"{size.Name} | {size.Vocabulary:N0} | {size.Length:N0} | {best:N0} | {6.0 * parameters.Count * best / 1e9:F1} | {busy:P0}"
        );
    }
}
