using System.Globalization;
using TraceDistill.Data.Generation;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Checkpoints;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens per second of scoring text in this process, output projection and top-k included, beside the same engine's prefill of the same
/// texts, of each of which it works out the logits of the last token alone. Both in turns; processor time is counted, so that other
/// programs do not; the best of the rounds is printed.
/// </summary>
static class ScoringBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int[] lengths =
        [
            .. (arguments.Text("lengths") ?? "256").Split(',').Select(length => int.Parse(length, CultureInfo.InvariantCulture)),
        ];
        Console.WriteLine("model | tokens of a text | prefill, tokens/s | scoring, tokens/s | scoring / prefill");
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
        var vocabulary = parameters.Configuration.VocabSize;
        using var engine = new GenerationEngine(
            parameters,
            new EngineOptions
            {
                Threads = threads,
                LongestSequence = length,
                PromptTokensPerStep = arguments.Number("step", 256),
                CacheBytes = 1L << 30,
            }
        );
        var scorer = new LocalScorer(engine);
        var random = new Random(1);
        var texts = Enumerable
            .Range(0, Math.Max(2 * threads, arguments.Number("tokens", 16_384) / length))
            .Select(i => new ScoringRequest(
                $"{i}",
                [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabulary))],
                Math.Max(1, length / 4),
                arguments.Number("top", 20)
            ))
            .ToList();
        double tokens = texts.Sum(text => text.Tokens.Length),
            scoring = 0,
            prefill = 0;
        for (var round = 0; round < arguments.Number("rounds", 4); round++)
        {
            scoring = Math.Max(scoring, await RateAsync(text => scorer.ScoreAsync(text)));
            prefill = Math.Max(prefill, await RateAsync(PrefillAsync));
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"{name} | {length:N0} | {prefill:N0} | {scoring:N0} | {scoring / prefill:0.00}"
        );

        Task PrefillAsync(ScoringRequest text) =>
            engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = text.Tokens,
                    MaxTokens = 0,
                    StopTokens = [],
                }
            );

        async Task<double> RateAsync(Func<ScoringRequest, Task> doAsync)
        {
            var before = Environment.CpuUsage.TotalTime;
            await Task.WhenAll(texts.Select(doAsync));
            return tokens * threads / (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        }
    }
}
