using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Options;
using TraceDistill.TestServer;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.Benchmarks.Collection;

/// <summary>
/// Memory with thousands of requests in flight, and what the client adds to the server's own time. The server, in this process, lets each
/// request wait as long as a model would think; the client is a process of its own.
/// </summary>
static class InFlightBenchmark
{
    const int Few = 64;
    const int Waves = 60;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var (requests, tokens, top) = (arguments.Number("requests", 2000), arguments.Number("tokens", 1000), arguments.Number("top", 20));
        if (requests > 0)
        {
            await MeasureMemoryAsync(requests, tokens, top, TimeSpan.FromMilliseconds(arguments.Number("think", 10_000)));
        }

        await MeasureTimeAsync(top);
        return 0;
    }

    static async Task MeasureMemoryAsync(int requests, int tokens, int top, TimeSpan think)
    {
        var many = await CollectAsync(requests, waves: 3, tokens, top, think);
        Console.WriteLine(
            $"{requests:N0} allowed, {many.Server.MostInFlight:N0} in flight at most, {many.Server.Served:N0} "
                + $"traces of {tokens:N0} tokens at top {top}: client's memory {many.PeakMemory >> 20} MiB at most"
        );
    }

    static async Task MeasureTimeAsync(int top)
    {
        // The first second of both goes into code that is compiled.
        var bare = await ReadAsync(Few, Waves, tokens: 300, top, TimeSpan.FromSeconds(1));
        var (own, _) = await CollectAsync(Few, Waves, tokens: 300, top, TimeSpan.FromSeconds(1));
        Console.WriteLine(
            $"{Few} in flight, {Waves} rounds of a server that thinks for a second: {own.Span.TotalSeconds:F1} s, "
                + $"{bare.Span.TotalSeconds:F1} s with a client that only reads the bytes: {100 * ((own.Span / bare.Span) - 1):+0.0;-0.0} "
                + $"%, and {100 * ((own.Span.TotalSeconds / Waves) - 1):+0.0;-0.0} % over the thinking alone; "
                + $"while there was more to ask for, {100 * own.Idle:F1} % of what was allowed was not in flight"
        );
    }

    /// <summary>The client's verb: collects and says its highest memory in bytes.</summary>
    public static async Task<int> CollectAsync(Arguments arguments)
    {
        await CollectStage.RunAsync(
            new GenerateOptions
            {
                Problems = arguments.Text("problems")!,
                Endpoint = arguments.Text("endpoint"),
                Model = "teacher",
                MaxTokens = arguments.Number("tokens", 0),
                TopLogprobs = arguments.Number("top", 0),
                Concurrency = arguments.Number("concurrency", 0),
            },
            arguments.Text("out")!,
            MathVerifier.Instance,
            SilentObserver.Instance,
            TimeProvider.System
        );
        Console.WriteLine(Process.GetCurrentProcess().PeakWorkingSet64);
        return 0;
    }

    static async Task<(ThinkingServer Server, long PeakMemory)> CollectAsync(
        int concurrency,
        int waves,
        int tokens,
        int top,
        TimeSpan think
    )
    {
        var folder = Directory.CreateTempSubdirectory("tracedistill-inflight-");
        try
        {
            var problems = Path.Combine(folder.FullName, "problems.jsonl");
            File.WriteAllLines(
                problems,
                Enumerable
                    .Range(0, concurrency * waves)
                    .Select(i => $$"""{"id":"p{{i}}","problem":"What is {{i}} + 2?","answer":"{{i + 2}}"}""")
            );
            var (server, output) = await ServeAsync(concurrency, tokens, top, think, url =>
                [
                    "inflight-client",
                    "--problems",
                    problems,
                    "--endpoint",
                    url,
                    "--out",
                    Path.Combine(folder.FullName, "traces"),
                    "--tokens",
                    $"{tokens}",
                    "--top",
                    $"{top}",
                    "--concurrency",
                    $"{concurrency}",
                ]
            );
            return (server, long.Parse(output, CultureInfo.InvariantCulture));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static async Task<ThinkingServer> ReadAsync(int concurrency, int waves, int tokens, int top, TimeSpan think) =>
        (
            await ServeAsync(concurrency, tokens, top, think, url =>
                [
                    "clients",
                    "--endpoint",
                    url[..^"v1".Length],
                    "--clients",
                    $"{concurrency}",
                    "--requests",
                    $"{concurrency * waves}",
                    "--tokens",
                    $"{tokens}",
                    "--top",
                    $"{top}",
                ]
            )
        ).Server;

    /// <summary>Serves a process of this program that is started with some arguments.</summary>
    static async Task<(ThinkingServer Server, string Output)> ServeAsync(
        int concurrency,
        int tokens,
        int top,
        TimeSpan think,
        Func<string, string[]> client
    )
    {
        var thinking = new ThinkingServer(think, concurrency, WordServer.Reply(WireForms.Vllm, tokens, top));
        await using var server = await ProtocolServer.StartAsync(thinking.AnswerAsync);
        (server.Form, server.KeepsRequests) = (WireForms.Vllm, false);
        using var process = Process.Start(
            new ProcessStartInfo(Environment.ProcessPath!, client(server.Url)) { RedirectStandardOutput = true }
        )!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (thinking, output);
    }

    /// <summary>
    /// Thinks before it answers, and keeps count of what is in flight, from the first time that
    /// it is as much as allowed to the last arrival.
    /// </summary>
    sealed class ThinkingServer(TimeSpan think, int allowed, Func<HttpContext, string, Task> reply)
    {
        readonly Lock _lock = new();
        long _full;
        long _lastChange;
        long _lastArrival;
        double _area;
        double _areaAtLastArrival;
        int _inFlight;

        public int MostInFlight { get; private set; }

        public int Served { get; private set; }

        /// <summary>From the first time that as much was in flight as allowed to the last answer.</summary>
        public TimeSpan Span => Stopwatch.GetElapsedTime(_full, _lastChange);

        /// <summary>Share of the places that stood empty although there was work: what the client adds to the server's own time.</summary>
        public double Idle => 1 - (_areaAtLastArrival / ((double)(_lastArrival - _full) * allowed));

        public async Task AnswerAsync(HttpContext context, string body)
        {
            if (body.Contains("12 + 34", StringComparison.Ordinal))
            {
                await reply(context, body);
                return;
            }

            Count(1);
            await Task.Delay(think, TimeProvider.System, context.RequestAborted);
            await reply(context, body);
            Count(-1);
        }

        void Count(int change)
        {
            lock (_lock)
            {
                var now = Stopwatch.GetTimestamp();
                _area += _full == 0 ? 0 : (double)(now - _lastChange) * _inFlight;
                _lastChange = now;
                _inFlight += change;
                MostInFlight = Math.Max(MostInFlight, _inFlight);
                if (change < 0)
                {
                    Served++;
                    return;
                }

                _full = _full == 0 && _inFlight == allowed ? now : _full;
                (_lastArrival, _areaAtLastArrival) = (now, _area);
            }
        }
    }
}
