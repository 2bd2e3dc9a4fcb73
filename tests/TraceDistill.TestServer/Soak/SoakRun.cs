using System.Diagnostics;
using System.Text.Json;
using TraceDistill.TestServer.Faults;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Soak;

/// <summary>
/// Has a process collect from a server whose responses are faulty, kills it without warning at random moments, starts it again until it is
/// done, and then looks at what is there.
/// </summary>
public sealed class SoakRun(SoakOptions options, string folder)
{
    // Some samples fail for good under faults that no repetition helps against: the next process asks for them again.
    const int MostRuns = 200;

    /// <summary>Number of processes killed while they publish, beside those killed while they collect.</summary>
    public const int MostKillsInPublication = 4;

    static readonly TimeSpan LongestDelay = TimeSpan.FromMilliseconds(40);

    readonly List<SoakRequest> _requests = [];
    HashSet<string> _committed = [];

    /// <summary>Where the collector writes.</summary>
    public string Out => Path.Combine(folder, "traces");

    /// <returns>Findings, every promise that was broken included.</returns>
    public async Task<SoakOutcome> RunAsync(CancellationToken cancellationToken)
    {
        var problems = Path.Combine(folder, "problems.jsonl");
        await File.WriteAllLinesAsync(problems, Enumerable.Range(0, options.Problems).Select(SoakProblem.Line), cancellationToken);
        var faults = new FaultPlan(options.FaultShare, options.Seed, [.. FaultPlan.Outlasted]);
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(WireForms.TraceDistill, faults: faults));

        Directory.CreateDirectory(Out);
        var random = new SplitMix64(options.Seed);
        var (kills, inPublication, runs) = (0, 0, 0);
        for (var done = false; !done; )
        {
            if (++runs > options.Kills + MostRuns)
            {
                throw new InvalidOperationException($"not done after {runs} processes");
            }

            using var publication = new FileSystemWatcher(Out) { Filters = { "train-*", "manifest.json" }, EnableRaisingEvents = true };
            var publishing = new TaskCompletionSource();
            publication.Created += (_, _) => publishing.TrySetResult();
            publication.Renamed += (_, _) => publishing.TrySetResult();
            publication.Deleted += (_, _) => publishing.TrySetResult();
            using var process = Process.Start(options.Collector(problems, server.Url, Out))!;
            if (kills < options.Kills)
            {
                // Every other one some time later: at any step of what goes on beside the requests.
                var delay = kills % 2 == 0 ? TimeSpan.Zero : LongestDelay * random.Next(100) / 100;
                if (
                    await ArrivedAsync(
                        server,
                        process,
                        1 + random.Next(Math.Max(1, options.Problems * 8 / (5 * options.Kills))),
                        cancellationToken
                    ) && await KillAsync(process, delay)
                )
                {
                    kills++;
                }
            }
            else if (inPublication < MostKillsInPublication)
            {
                await Task.WhenAny(publishing.Task, process.WaitForExitAsync(cancellationToken));
                if (await KillAsync(process, LongestDelay * random.Next(100) / 100))
                {
                    inPublication++;
                }
            }

            await process.WaitForExitAsync(cancellationToken);
            Note(server);
            _committed = await CommittedTraces.InAsync(Out, cancellationToken);

            // A few failed samples are no failed run: the next one asks for them.
            done = process.ExitCode == 0 && _committed.Count == options.Problems;
            options.Log(
                $"process {runs} {(done ? "is done" : $"ended with {process.ExitCode}")}: "
                    + $"{_requests.Count} requests, {_committed.Count} traces committed"
            );
        }

        return await SoakOutcome.InspectAsync(Out, options.Problems, kills + inPublication, runs, _requests, cancellationToken);
    }

    /// <returns>False where the process ended before.</returns>
    static async Task<bool> KillAsync(Process process, TimeSpan delay)
    {
        await Task.Delay(delay);
        if (process.HasExited)
        {
            return false;
        }

        process.Kill();
        return true;
    }

    /// <summary>Waits for so many requests; false where the process ended before.</summary>
    static async Task<bool> ArrivedAsync(ProtocolServer server, Process process, int requests, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var end = process.WaitForExitAsync(stop.Token);
        var arrived = WaitAsync();
        var first = await Task.WhenAny(end, arrived);
        await stop.CancelAsync();
        await Task.WhenAny(arrived);
        return first == arrived && !process.HasExited;

        async Task WaitAsync()
        {
            for (var i = 0; i < requests; i++)
            {
                await server.RequestArrivedAsync(stop.Token);
            }
        }
    }

    /// <summary>Takes what arrived since the last process, with what was committed before it was started.</summary>
    void Note(ProtocolServer server)
    {
        while (server.Requests.TryDequeue(out var body))
        {
            using var document = JsonDocument.Parse(body);
            if (SoakProblem.TraceIdOf(document.RootElement) is { } id)
            {
                _requests.Add(new SoakRequest(id, _committed.Contains(id)));
            }
        }
    }
}

/// <summary>One request that the server saw.</summary>
/// <param name="TraceId">The trace that it asks for.</param>
/// <param name="WasCommitted">True where that trace was on disk before the process that asked was started.</param>
public readonly record struct SoakRequest(string TraceId, bool WasCommitted);
