using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Training.Generation;

namespace TraceDistill.Benchmarks;

/// <summary>Tokens per second of the generation engine and of llama.cpp, one after the other on the same weights, round by round.</summary>
static class LlamaCppBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        if (!PeerScript.IsReady())
        {
            return 2;
        }

        var temporary = Directory.CreateTempSubdirectory("tracedistill-benchmark-");
        try
        {
            var directory = arguments.Text("model") ?? temporary.FullName;
            if (directory == temporary.FullName)
            {
                LargeModel.Write(directory, TensorDtype.BFloat16);
            }

            var quantization = Enum.Parse<GgufQuantization>(arguments.Text("quantization") ?? nameof(GgufQuantization.F16), ignoreCase: true);
            var file = Path.Combine(temporary.FullName, "model.gguf");
            GgufExport.Run(new ExportSource(directory), file, "benchmark", quantization);
            var (tokens, threads) = (arguments.Number("tokens", 32), arguments.Number("threads", Environment.ProcessorCount));
            foreach (var sequences in new[] { 1, arguments.Number("sequences", 8) })
            {
                // The best of either, alternating: other work on the machine slows whatever it meets.
                double ours = 0, theirs = 0;
                for (var round = 0; round < arguments.Number("rounds", 2); round++)
                {
                    ours = Math.Max(ours, await OursAsync(directory, sequences, tokens, threads));
                    theirs = Math.Max(theirs, Theirs(file, sequences, tokens, threads));
                }

                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{sequences} sequences of {tokens} tokens after 40, {threads} threads: {ours:0.0} tokens/s, llama.cpp ({quantization}) {theirs:0.0}: {ours / theirs:0.00} times"));
            }

            return 0;
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }

    static async Task<double> OursAsync(string directory, int sequences, int tokens, int threads)
    {
        using var engine = GenerationEngine.Load(directory, new EngineOptions { Threads = threads, CacheBytes = 256 << 20 });
        var best = 0.0;
        for (var round = 0; round < 3; round++)
        {
            var start = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, sequences).Select(i => engine.GenerateAsync(new SequenceRequest
            {
                Prompt = Enumerable.Range(1, 40).ToArray(), MaxTokens = tokens, Temperature = 0, StopTokens = [],
            })));
            best = Math.Max(best, sequences * tokens / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }

    static double Theirs(string file, int sequences, int tokens, int threads) =>
        PeerScript.Run("llama-speed.js", [file, $"{sequences}", $"{tokens}", $"{threads}"]).Split('\n', StringSplitOptions.RemoveEmptyEntries).Max(line =>
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.GetProperty("tokensPerSecond").GetDouble();
        });
}
