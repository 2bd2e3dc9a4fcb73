using System.Diagnostics;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens per second of the generation engine, without HTTP; with <c>--decoder true</c> beside those of the trained decoder
/// on the same processor. Of the model that <c>--model</c> names, of random ones of <c>--sizes</c>, or of the teacher's size.
/// </summary>
static class EngineBenchmark
{
    const string OneModel = "one model";

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var options = new EngineOptions { Threads = arguments.Number("threads", Environment.ProcessorCount) };
        foreach (var size in arguments.Text("sizes")?.Split(',') ?? [OneModel])
        {
            var kernels = await MeasureAsync("kernels", size, arguments, options with { UsesDecoder = false });
            if (arguments.Text("decoder") == "true")
            {
                var decoder = await MeasureAsync("decoder", size, arguments, options with { UsesDecoder = true });
                Console.WriteLine($"{size}: processor time of a token, decoder ÷ kernels: {decoder / kernels:F2}");
            }
        }

        return 0;
    }

    /// <returns>The least microseconds of processor that a token took.</returns>
    static async Task<double> MeasureAsync(string name, string size, Arguments arguments, EngineOptions options)
    {
        using var engine = arguments.Text("model") is { } directory ? GenerationEngine.Load(directory, options) : Random(size, options);
        var least = double.PositiveInfinity;
        int sequences = arguments.Number("sequences", 32),
            tokens = arguments.Number("tokens", 300),
            top = arguments.Number("top", 20);
        for (var round = 0; round < arguments.Number("rounds", 4); round++)
        {
            var (start, before) = (Stopwatch.GetTimestamp(), engine.Counters);
            var (allocated, processor) = (GC.GetTotalAllocatedBytes(), Environment.CpuUsage.TotalTime);
            await Task.WhenAll(
                Enumerable
                    .Range(0, sequences)
                    .Select(i =>
                        engine.GenerateAsync(
                            new SequenceRequest
                            {
                                Prompt = Enumerable.Range(1, 40).ToArray(),
                                MaxTokens = tokens,
                                Seed = i,
                                TopLogprobs = top,
                                StopTokens = [],
                            }
                        )
                    )
            );
            var (seconds, after) = (Stopwatch.GetElapsedTime(start).TotalSeconds, engine.Counters);
            var generated = after.GeneratedTokens - before.GeneratedTokens;
            least = Math.Min(least, (Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / generated);
            Console.WriteLine(
                $"{size}, {name}: {generated / seconds:N0} tokens/s, "
                    + $"{(Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / generated:N0} µs of "
                    + $"processor and {(GC.GetTotalAllocatedBytes() - allocated) / generated} managed bytes "
                    + $"a token ({sequences} sequences of {tokens} tokens after 40, {options.Threads} threads)"
            );
        }

        return least;
    }

    static GenerationEngine Random(string size, EngineOptions options)
    {
        using var parameters = size == OneModel ? BenchmarkModel.Create() : EngineTable.Sizes.Single(entry => entry.Name == size).Random();
        return new GenerationEngine(parameters, options);
    }
}
