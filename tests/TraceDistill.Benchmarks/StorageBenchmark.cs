using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Size and speed of shards in both layouts: of a data set that exists, or of tokens that a model makes up. Speeds are per second of
/// processor time.
/// </summary>
static class StorageBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        if ((arguments.Text("traces") ?? arguments.Text("model")) is not { } path)
        {
            Console.Error.WriteLine("storage needs --traces DIR (a data set) or --model DIR (a model to sample from)");
            return 2;
        }

        var (traces, dataset) = arguments.Text("traces") is not null
            ? await LoadAsync(path)
            : await SampledTraces.CreateAsync(
                path,
                arguments.Number("count", 300),
                arguments.Number("tokens", 300),
                arguments.Number("top", 20),
                arguments.Number("first-token", 1)
            );
        var tokens = traces.Sum(trace => (long)(trace.Logprobs?.Count ?? 0));
        Console.WriteLine($"{traces.Count:N0} traces, {tokens:N0} tokens, top {dataset.TopK}");
        var blobs = traces.Where(trace => trace.Logprobs is not null).Select(trace => SoftTargetCodec.Encode(trace.Logprobs!)).ToList();
        Console.WriteLine($"the column soft_targets alone: {blobs.Sum(blob => (long)blob.Length) / (double)tokens:F2} bytes a token");
        foreach (var layout in new[] { SoftTargetLayout.Compact, SoftTargetLayout.Plain })
        {
            for (var round = 0; round < 2; round++)
            {
                await MeasureAsync(traces, dataset, layout, tokens, print: round == 1);
            }
        }

        return 0;
    }

    static async Task MeasureAsync(List<Trace> traces, DatasetDescription dataset, SoftTargetLayout layout, long tokens, bool print)
    {
        var directory = Directory.CreateTempSubdirectory("tracedistill-bench-").FullName;
        try
        {
            ShardManifest? manifest = null;
            var writing = await BusyAsync(async () =>
            {
                await using var writer = await ShardWriter.CreateAsync(directory, dataset, new ShardWriterOptions { Layout = layout });
                foreach (var trace in traces)
                {
                    await writer.WriteAsync(trace);
                }
                manifest = await writer.CompleteAsync();
            });
            var reading = await BusyAsync(() => ReadAsync(directory, softTargets: true));
            var skimming = await BusyAsync(() => ReadAsync(directory, softTargets: false));
            if (print)
            {
                Console.WriteLine(
                    $"{layout, -8} {manifest!.Bytes / (double)tokens, 7:F2} bytes a token in all; tokens/s: {tokens / writing, 11:N0} "
                        + $"written, {tokens / reading, 11:N0} read, {tokens / skimming, 11:N0} read without soft targets"
                );
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    static async Task<double> BusyAsync(Func<Task> run)
    {
        var before = Environment.CpuUsage.TotalTime;
        await run();
        return (Environment.CpuUsage.TotalTime - before).TotalSeconds;
    }

    static async Task ReadAsync(string directory, bool softTargets)
    {
        var reader = await ShardReader.OpenAsync(directory, new ShardReaderOptions { SoftTargets = softTargets });
        await foreach (var _ in reader.ReadAsync()) { }
    }

    static async Task<(List<Trace> Traces, DatasetDescription Dataset)> LoadAsync(string path)
    {
        var reader = await ShardReader.OpenAsync(path);
        var traces = new List<Trace>();
        await foreach (var trace in reader.ReadAsync())
        {
            traces.Add(trace);
        }

        return (traces, reader.Dataset);
    }
}
