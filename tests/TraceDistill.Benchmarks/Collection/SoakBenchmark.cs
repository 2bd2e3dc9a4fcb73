using System.Diagnostics;
using TraceDistill.Data.Contracts;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Options;
using TraceDistill.TestServer.Soak;
using TraceDistill.Text.Errors;

namespace TraceDistill.Benchmarks.Collection;

/// <summary>Collection under faults and kills: whether every trace is there in the end, once, and as the server gave it.</summary>
static class SoakBenchmark
{
    const int ShardRows = 256; // so that shards are built all the time, and some kills fall into that

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var folder = Directory.CreateTempSubdirectory("tracedistill-soak-");
        try
        {
            var options = new SoakOptions
            {
                Problems = arguments.Number("problems", 20_000),
                Kills = arguments.Number("kills", 50),
                FaultShare = arguments.Number("fault-percent", 20) / 100.0,
                Seed = (ulong)arguments.Number("seed", 1),
                Collector = (problems, url, directory) =>
                    new ProcessStartInfo(
                        Environment.ProcessPath!,
                        [
                            "collector",
                            "--problems",
                            problems,
                            "--endpoint",
                            url,
                            "--out",
                            directory,
                            "--concurrency",
                            $"{arguments.Number("concurrency", 64)}",
                        ]
                    ),
                Log = Console.WriteLine,
            };
            var start = Stopwatch.GetTimestamp();
            var outcome = await new SoakRun(options, folder.FullName).RunAsync(CancellationToken.None);
            Console.WriteLine(
                $"{outcome.Traces:N0} traces of {options.Problems:N0} problems, {outcome.Kills} kills in "
                    + $"{outcome.Runs} processes, {outcome.Requests:N0} requests, {outcome.RepeatedAfterCommit} of "
                    + $"them after their trace was committed, {Stopwatch.GetElapsedTime(start).TotalSeconds:N0} s"
            );
            Console.WriteLine(
                outcome.Violations.Count == 0
                    ? "every trace is there once and as the server gave it"
                    : string.Join('\n', outcome.Violations)
            );
            return outcome.Violations.Count == 0 ? 0 : 1;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The process that is killed.</summary>
    public static async Task<int> CollectAsync(Arguments arguments)
    {
        var options = new GenerateOptions
        {
            Problems = arguments.Text("problems")!,
            Endpoint = arguments.Text("endpoint"),
            Model = "teacher",
            MaxTokens = SoakOptions.MaxTokens,
            TopLogprobs = SoakOptions.TopLogprobs,
            ShardRows = ShardRows,
            Concurrency = arguments.Number("concurrency", 64),
        };
        try
        {
            await CollectStage.RunAsync(
                options,
                arguments.Text("out")!,
                MathVerifier.Instance,
                SilentObserver.Instance,
                TimeProvider.System
            );
            return 0;
        }
        catch (ExternalFailureException e)
        {
            Console.WriteLine($"  {e.Message}");
            return 3;
        }
    }
}
