using System.Diagnostics;
using TraceDistill.Training.Generation;

namespace TraceDistill.Benchmarks;

/// <summary>Tokens per second of the generation engine, without HTTP.</summary>
static class EngineBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var options = new EngineOptions { Threads = arguments.Number("threads", Environment.ProcessorCount) };
        using var engine = arguments.Text("model") is { } directory ? GenerationEngine.Load(directory, options) : Random(options);
        int sequences = arguments.Number("sequences", 32), tokens = arguments.Number("tokens", 300), top = arguments.Number("top", 20);
        for (var round = 0; round < 4; round++)
        {
            var (start, before) = (Stopwatch.GetTimestamp(), engine.Counters);
            var (allocated, processor) = (GC.GetTotalAllocatedBytes(), Environment.CpuUsage.TotalTime);
            await Task.WhenAll(Enumerable.Range(0, sequences).Select(i => engine.GenerateAsync(new SequenceRequest
            {
                Prompt = Enumerable.Range(1, 40).ToArray(), MaxTokens = tokens, Seed = i, TopLogprobs = top, StopTokens = [],
            })));
            var (seconds, after) = (Stopwatch.GetElapsedTime(start).TotalSeconds, engine.Counters);
            var generated = after.GeneratedTokens - before.GeneratedTokens;
            Console.WriteLine(
                $"{generated / seconds:N0} tokens/s, {(Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / generated:N0} µs of processor and " +
                $"{(GC.GetTotalAllocatedBytes() - allocated) / generated} managed bytes a token ({sequences} sequences of {tokens} tokens after 40, {options.Threads} threads)");
        }

        return 0;
    }

    static GenerationEngine Random(EngineOptions options)
    {
        using var parameters = BenchmarkModel.Create();
        return new GenerationEngine(parameters, options);
    }
}
