using System.Diagnostics;
using TraceDistill.Data.Contracts;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Benchmarks.Collection;

/// <summary>
/// From the bytes of responses to a durable shard: tokens per second of the client's processor time, with the
/// collector of this project and with Semantic Kernel's stock OpenAI connector followed by the same writer.
/// </summary>
/// <remarks>
/// Both read the same bytes, except from <c>vllm</c>, which is asked for longer ones (tokens spelled as ids) by
/// this project alone: so the ratio of that form is told beside the other's. Conditions: a server of its own
/// process on loopback that sends bodies it has prepared and never fails, and code that has run as long before.
/// </remarks>
static class CollectBenchmark
{
    static readonly string[] BothKinds = ["tracedistill", "vllm"];

    public static async Task<int> RunAsync(Arguments arguments)
    {
        Console.WriteLine("loopback, prepared bodies, no faults, warmed up:");
        foreach (var form in arguments.Text("form") is { } one ? [one] : BothKinds)
        {
            await RunAsync(form, arguments);
        }

        return 0;
    }

    static async Task RunAsync(string form, Arguments arguments)
    {
        int tokens = arguments.Number("tokens", 1000),
            top = arguments.Number("top", 20),
            concurrency = arguments.Number("concurrency", 16);
        int traces = arguments.Number("traces", 600),
            stockTraces = arguments.Number("stock-traces", 60);
        var folder = Directory.CreateTempSubdirectory("tracedistill-collect-");
        try
        {
            using var server = await WordServer.StartAsync(form, tokens, top);
            var problems = Path.Combine(folder.FullName, "problems.jsonl");
            File.WriteAllLines(
                problems,
                Enumerable
                    .Range(0, Math.Max(traces, stockTraces))
                    .Select(i => $$"""{"id":"p{{i}}","problem":"What is {{i}} + 2?","answer":"{{i + 2}}"}""")
            );
            var options = new GenerateOptions
            {
                Problems = problems,
                Endpoint = server.Url,
                Model = "teacher",
                MaxTokens = tokens,
                TopLogprobs = top,
                Concurrency = concurrency,
            };
            var stock = new StockCollector(server.Url, tokens, top, concurrency);

            // As much before it counts: code is compiled for good only after a while, and a collection runs for hours.
            await CollectAsync(options with { Limit = traces }, Path.Combine(folder.FullName, "warm"));
            await stock.CollectAsync(stockTraces, Path.Combine(folder.FullName, "warm-stock"));

            Console.WriteLine($"{form}, {tokens:N0} tokens a trace, top {top}, {concurrency} requests at a time:");
            var own = await MeasureAsync("this project", () =>
                CollectAsync(options with { Limit = traces }, Path.Combine(folder.FullName, "own"))
            );
            var other = await MeasureAsync("stock connector and the same writer", () =>
                stock.CollectAsync(stockTraces, Path.Combine(folder.FullName, "stock"))
            );
            Console.WriteLine($"{own / other:F1} times the stock connector");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static async Task<long> CollectAsync(GenerateOptions options, string directory) =>
        (await CollectStage.RunAsync(options, directory, MathVerifier.Instance, SilentObserver.Instance, TimeProvider.System)).Tokens;

    /// <returns>Tokens per second of processor.</returns>
    static async Task<double> MeasureAsync(string name, Func<Task<long>> collect)
    {
        var (start, processor, allocated) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes());
        var tokens = await collect();
        var busy = (Environment.CpuUsage.TotalTime - processor).TotalSeconds;
        Console.WriteLine(
            $"  {name}: {tokens / busy:N0} tokens/s per core ({busy / tokens * 1e6:F1} µs of processor "
                + $"and {(GC.GetTotalAllocatedBytes() - allocated) / tokens:N0} managed bytes a token; "
                + $"{tokens:N0} tokens in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s)"
        );
        return tokens / busy;
    }
}
