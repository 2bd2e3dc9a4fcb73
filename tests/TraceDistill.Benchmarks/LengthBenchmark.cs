using System.Diagnostics;
using System.Globalization;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens per second of one sequence as it grows, with attention and with a recurrence of the same width and depth; one thread.
/// </summary>
static class LengthBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int[] lengths = [.. (arguments.Text("lengths") ?? "500,2000,8000,16000").Split(',').Select(int.Parse)];
        var size = EngineTable.Sizes.Single(size => size.Name == (arguments.Text("size") ?? "3.3M"));
        Console.WriteLine($"mixer | parameters | {string.Join(" | ", lengths.Select(length => $"tokens/s at {length}"))}");
        foreach (var (name, architecture) in new[] { ("attention", size.Architecture()), ("recurrence", size.Recurrent()) })
        {
            using var parameters = size.Random(architecture with { MaxPositionEmbeddings = 2 * lengths[^1] });
            using var engine = new GenerationEngine(parameters, new EngineOptions { Threads = 1 });
            var clock = new Clock(lengths[^1]);
            await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = new[] { 1 },
                    MaxTokens = lengths[^1],
                    StopTokens = [],
                    Sink = clock,
                }
            );
            Console.WriteLine(
                $"{name} | {parameters.Count:N0} | "
                    + string.Join(" | ", lengths.Select(length => clock.Rate(length).ToString("N0", CultureInfo.InvariantCulture)))
            );
        }

        return 0;
    }

    /// <summary>When each token came.</summary>
    sealed class Clock(int tokens) : ITokenSink
    {
        const int Window = 250;

        readonly long[] _times = new long[tokens];
        int _count;

        public bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
        {
            _times[_count++] = Stopwatch.GetTimestamp();
            return true;
        }

        /// <summary>Of the last tokens before a length.</summary>
        public double Rate(int length) => Window / Stopwatch.GetElapsedTime(_times[length - 1 - Window], _times[length - 1]).TotalSeconds;
    }
}
