using System.Diagnostics;
using System.Globalization;
using System.Numerics.Tensors;
using LLama;
using LLama.Common;
using LLama.Native;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;

namespace TraceDistill.Benchmarks;

/// <summary>Tokens per second of the generation engine and of llama.cpp, one after the other on the same weights, round by round.</summary>
static class LlamaCppBenchmark
{
    /// <summary>Prompt of each sequence.</summary>
    static readonly int[] Prompt = [.. Enumerable.Range(1, 40)];

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var temporary = Directory.CreateTempSubdirectory("tracedistill-benchmark-");
        try
        {
            var directory = arguments.Text("model") ?? temporary.FullName;
            if (directory == temporary.FullName)
            {
                LargeModel.Write(directory, TensorDtype.BFloat16);
            }

            var quantization = Enum.Parse<GgufQuantization>(
                arguments.Text("quantization") ?? nameof(GgufQuantization.F16),
                ignoreCase: true
            );
            var file = Path.Combine(temporary.FullName, "model.gguf");
            GgufExport.Run(new ExportSource(directory), file, "benchmark", quantization);
            var (tokens, threads) = (arguments.Number("tokens", 32), arguments.Number("threads", Environment.ProcessorCount));
            foreach (var sequences in new[] { 1, arguments.Number("sequences", 8) })
            {
                // The best of either, alternating: other work on the machine slows whatever it meets.
                double ours = 0,
                    theirs = 0;
                for (var round = 0; round < arguments.Number("rounds", 2); round++)
                {
                    ours = Math.Max(ours, await OursAsync(directory, sequences, tokens, threads));
                    theirs = Math.Max(theirs, Theirs(file, sequences, tokens, threads));
                }

                Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{sequences} sequences of {tokens} tokens after 40, {threads} threads: "
                            + $"{ours:0.0} tokens/s, llama.cpp ({quantization}) {theirs:0.0}: {ours / theirs:0.00} times"
                    )
                );
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
            await Task.WhenAll(
                Enumerable
                    .Range(0, sequences)
                    .Select(i =>
                        engine.GenerateAsync(
                            new SequenceRequest
                            {
                                Prompt = LlamaCppBenchmark.Prompt,
                                MaxTokens = tokens,
                                Temperature = 0,
                                StopTokens = [],
                            }
                        )
                    )
            );
            best = Math.Max(best, sequences * tokens / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }

    /// <summary>The best round of llama.cpp, in a process of its own: the engine's threads are not there.</summary>
    static double Theirs(string file, int sequences, int tokens, int threads)
    {
        using var child = Process.Start(
            new ProcessStartInfo(
                Environment.ProcessPath!,
                ["llamacpp-rounds", "--file", file, "--sequences", $"{sequences}", "--tokens", $"{tokens}", "--threads", $"{threads}"]
            )
            {
                RedirectStandardOutput = true,
            }
        )!;
        var output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return child.ExitCode == 0
            ? double.Parse(output, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException("llama.cpp failed");
    }

    /// <summary>
    /// Prints the tokens per second of the best of three rounds, the first of which also touches all memory for the first time.
    /// </summary>
    public static int RunRounds(Arguments arguments)
    {
        var (sequences, tokens, threads) = (
            arguments.Number("sequences", 1),
            arguments.Number("tokens", 32),
            arguments.Number("threads", 1)
        );
        NativeLibraryConfig.All.WithLogCallback((_, _) => { });
        var parameters = new ModelParams(arguments.Text("file")!)
        {
            GpuLayerCount = 0,
            ContextSize = (uint)(512 * sequences),
            SeqMax = (uint)sequences,
            BatchSize = (uint)(Prompt.Length * sequences),
            KVUnified = false,
            Threads = threads,
            BatchThreads = threads,
        };
        using var weights = LLamaWeights.LoadFromFile(parameters);
        using var context = weights.CreateContext(parameters);
        Console.WriteLine(
            Enumerable.Range(0, 3).Max(_ => Round(context.NativeHandle, sequences, tokens)).ToString(CultureInfo.InvariantCulture)
        );
        return 0;
    }

    /// <summary>Each sequence takes in the prompt and continues it with the likeliest ids.</summary>
    static double Round(SafeLLamaContextHandle context, int sequences, int tokens)
    {
        context.MemoryClear();
        var (start, batch, next) = (Stopwatch.GetTimestamp(), new LLamaBatch(), new int[sequences]);
        foreach (var sequence in Enumerable.Range(0, sequences))
        {
            foreach (var (position, id) in Prompt.Index())
            {
                batch.Add(id, position, (LLamaSeqId)sequence, logits: position == Prompt.Length - 1);
            }
        }

        Decode();
        foreach (var sequence in Enumerable.Range(0, sequences))
        {
            next[sequence] = Likeliest(((sequence + 1) * Prompt.Length) - 1);
        }

        for (var made = 1; made < tokens; made++)
        {
            batch.Clear();
            foreach (var (sequence, id) in next.Index())
            {
                batch.Add(id, Prompt.Length - 1 + made, (LLamaSeqId)sequence, logits: true);
            }

            Decode();
            foreach (var sequence in Enumerable.Range(0, sequences))
            {
                next[sequence] = Likeliest(sequence);
            }
        }

        return sequences * tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;

        int Likeliest(int row) => TensorPrimitives.IndexOfMax<float>(context.GetLogitsIth(row));

        void Decode()
        {
            if (context.Decode(batch) is not DecodeResult.Ok and var result)
            {
                throw new InvalidOperationException($"llama.cpp could not evaluate a batch: {result}");
            }
        }
    }
}
