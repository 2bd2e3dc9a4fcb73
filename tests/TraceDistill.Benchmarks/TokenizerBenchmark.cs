using System.Diagnostics;
using TraceDistill.Core.Tokenization;

namespace TraceDistill.Benchmarks;

/// <summary>Tokens per second of encoding and decoding the lines of a file, on one core.</summary>
static class TokenizerBenchmark
{
    public static int Run(Arguments arguments)
    {
        if (arguments.Text("model") is not { } model || arguments.Text("text") is not { } file)
        {
            Console.Error.WriteLine("tokenizer needs --model DIR (with a tokenizer.json) and --text FILE");
            return 2;
        }

        var start = Stopwatch.GetTimestamp();
        var tokenizer = Tokenizer.Load(model);
        Console.WriteLine($"loaded in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:N0} ms");
        var lines = File.ReadAllLines(file);
        var ids = new List<int>();
        var encoded = lines.Select(line => tokenizer.Encode(line)).ToList();
        for (var round = 0; round < 3; round++)
        {
            Measure("encoded", () => lines.Sum(line => Encode(tokenizer, line, ids)));
            Measure("decoded", () => encoded.Sum(line => tokenizer.Decode(line).Length > 0 ? line.Length : 0));
        }

        return 0;
    }

    static long Encode(Tokenizer tokenizer, string line, List<int> ids)
    {
        ids.Clear();
        tokenizer.Encode(line, ids);
        return ids.Count;
    }

    static void Measure(string name, Func<long> run)
    {
        var (start, processor, allocated) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime, GC.GetAllocatedBytesForCurrentThread());
        var tokens = run();
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var busy = (Environment.CpuUsage.TotalTime - processor).TotalSeconds;
        Console.WriteLine($"{name} {tokens:N0} tokens: {tokens / seconds / 1e6:F2} million/s ({tokens / busy / 1e6:F2} million per second of processor), {(GC.GetAllocatedBytesForCurrentThread() - allocated) / (double)tokens:F1} bytes a token");
    }
}
