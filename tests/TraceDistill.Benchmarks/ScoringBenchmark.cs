using System.Diagnostics;
using System.Globalization;
using TraceDistill.Data.Generation;
using TraceDistill.Inference;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens per second of scoring text in this process, output projection and top-k included, beside the prefill alone: the trained
/// decoder's forward pass over the same sequences, packed, on as many threads, without logits. Both in turns; processor time is counted,
/// so that other programs do not; the best of the rounds is printed.
/// </summary>
static class ScoringBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int[] lengths =
        [
            .. (arguments.Text("lengths") ?? "256").Split(',').Select(length => int.Parse(length, CultureInfo.InvariantCulture)),
        ];
        Console.WriteLine("model | tokens of a text | scoring, tokens/s | prefill, tokens/s | ratio");
        foreach (var name in arguments.Text("model") is { } path ? [path] : (arguments.Text("sizes") ?? "0.4M,3.3M,22M,124M").Split(','))
        {
            foreach (var length in lengths)
            {
                Console.WriteLine(await MeasureAsync(name, length, arguments));
            }
        }

        return 0;
    }

    static async Task<string> MeasureAsync(string name, int length, Arguments arguments)
    {
        var threads = arguments.Number("threads", Environment.ProcessorCount);
        using var parameters = arguments.Text("model") is null
            ? (EngineTable.Sizes.Single(entry => entry.Name == name) with { Length = length }).Random()
            : ModelDirectory.Load(name);
        var shape = parameters.Configuration;
        var step = arguments.Number("step", 256);
        var options = new EngineOptions
        {
            Threads = threads,
            LongestSequence = length,
            PromptTokensPerStep = step,
            CacheBytes = 1L << 30,
        };
        using var scorer = new LocalScorer(new GenerationEngine(parameters, options));
        var random = new Random(1);
        var texts = Enumerable
            .Range(0, Math.Max(2 * threads, arguments.Number("tokens", 16_384) / length))
            .Select(i => new ScoringRequest(
                $"{i}",
                [.. Enumerable.Range(0, length).Select(_ => random.Next(shape.VocabSize))],
                Math.Max(1, length / 4),
                arguments.Number("top", 20)
            ))
            .ToList();
        double tokens = texts.Sum(text => text.Tokens.Length),
            scoring = 0,
            prefill = 0;
        for (var round = 0; round < arguments.Number("rounds", 4); round++)
        {
            var before = Environment.CpuUsage.TotalTime;
            await Task.WhenAll(texts.Select(text => scorer.ScoreAsync(text)));
            scoring = Math.Max(scoring, tokens * threads / (Environment.CpuUsage.TotalTime - before).TotalSeconds);
            prefill = Math.Max(prefill, EngineTable.Rate(tokens * 1e9, threads, () => Prefill(parameters, texts, threads)));
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"{name} | {length:N0} | {scoring:N0} | {prefill:N0} | {scoring / prefill:0.00}"
        );
    }

    /// <summary>Hidden states of every token, in packs of 2,048 tokens, each thread with packs of its own.</summary>
    static void Prefill(ModelParameters parameters, List<ScoringRequest> texts, int threads)
    {
        const int PackTokens = 2_048;
        var packs = Training.Batching.SequencePacker.Split(texts, text => text.Tokens.Length, PackTokens);
        new Cores(threads).Each(packs.Count, index =>
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using var decoder = new Decoder(TrainedWeights.None(parameters));
            var pack = packs[index];
            _ = decoder.Forward(new TokenBatch([.. pack.SelectMany(text => text.Tokens)], [.. pack.Select(text => text.Tokens.Length)]));
        });
    }
}
