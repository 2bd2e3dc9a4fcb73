using System.Diagnostics;
using TraceDistill.Text.Tokenizers;
using HuggingFace = Tokenizers.DotNet.Tokenizer;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens per second of encoding and decoding the lines of a file, on one core, beside Microsoft.ML.Tokenizers and Hugging Face's own
/// (Rust, called line by line) in the same run. Seconds are the processor's, not the clock's: what others do on the machine counts less.
/// </summary>
static class TokenizerBenchmark
{
    const int Rounds = 5;

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
        var ours = Measure("encoded", () => lines.Sum(line => Encode(tokenizer, line, ids)));
        Measure("encoded with spans", () => lines.Sum(line => (long)tokenizer.EncodeWithSpans(line).Ids.Count));
        Measure("decoded", () => encoded.Sum(line => tokenizer.Decode(line).Length > 0 ? line.Length : 0));
        start = Stopwatch.GetTimestamp();
        if (MicrosoftTokenizer.Create(Path.Combine(model, Tokenizer.FileName)) is { } microsofts)
        {
            Console.WriteLine($"Microsoft.ML.Tokenizers loaded in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:N0} ms");
            Console.WriteLine(
                $"{lines.Count(line => !microsofts.EncodeToIds(line).SequenceEqual(tokenizer.Encode(line))):N0} "
                    + $"of {lines.Length:N0} lines have other ids in Microsoft.ML.Tokenizers"
            );
            Measure("Microsoft.ML.Tokenizers encoded", () => lines.Sum(line => (long)microsofts.EncodeToIds(line).Count));
        }

        using var rust = new HuggingFace(Path.Combine(model, Tokenizer.FileName));
        var theirs = Measure("Hugging Face's tokenizers encoded", () => lines.Sum(line => (long)rust.Encode(line).Length));
        Console.WriteLine($"ours is {ours / theirs:F1} times as fast");
        return 0;
    }

    static long Encode(Tokenizer tokenizer, string line, List<int> ids)
    {
        ids.Clear();
        tokenizer.Encode(line, ids);
        return ids.Count;
    }

    /// <returns>Million tokens a second, the median round.</returns>
    static double Measure(string name, Func<long> run)
    {
        var (tokens, allocated, rates) = (0L, 0L, new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            var (start, before) = (Environment.CpuUsage.TotalTime, GC.GetAllocatedBytesForCurrentThread());
            tokens = run();
            rates.Add(tokens / (Environment.CpuUsage.TotalTime - start).TotalSeconds / 1e6);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        rates.Sort();
        Console.WriteLine(
            $"{name} {tokens:N0} tokens: {rates[Rounds / 2]:F2} million/s (from {rates[0]:F2} "
                + $"to {rates[^1]:F2}), {allocated / (double)tokens:F2} bytes allocated a token"
        );
        return rates[Rounds / 2];
    }
}
