using System.Diagnostics;
using System.Globalization;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Prompts;
using TraceDistill.TestServer;
using TraceDistill.TestServer.Forms;
using Trace = TraceDistill.Data.Traces.Trace;

namespace TraceDistill.Benchmarks.Collection;

/// <summary>
/// How long a collection with a million committed traces takes to send its first request, and what memory it needs: once with the traces in
/// journal and shards, as a kill leaves them, and once with a published data set to which problems were added.
/// </summary>
static class ResumeBenchmark
{
    const int Tokens = 8;
    const int Top = 2;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var (count, added) = (arguments.Number("traces", 1_000_000), arguments.Number("added", 100));
        var folder = Directory.CreateTempSubdirectory("tracedistill-resume-");
        try
        {
            var reply = WordServer.Reply(WireForms.Vllm, Tokens, Top);
            var sending = new TaskCompletionSource<long>();
            await using var server = await ProtocolServer.StartAsync(
                (context, body) =>
                {
                    if (!body.Contains("12 + 34", StringComparison.Ordinal))
                    {
                        sending.TrySetResult(Stopwatch.GetTimestamp());
                    }

                    return reply(context, body);
                }
            );
            (server.Form, server.KeepsRequests) = (WireForms.Vllm, false);

            var (problems, output) = (Path.Combine(folder.FullName, "problems.jsonl"), Path.Combine(folder.FullName, "traces"));
            WriteProblems(problems, 1);
            await ResumeAsync("one trace", problems, Path.Combine(folder.FullName, "one"));
            WriteProblems(problems, count + added);
            await FillAsync(problems, output, count, ShardManifest.Load(Path.Combine(folder.FullName, "one"))!.Dataset);
            await ResumeAsync($"{count:N0} traces in journal and shards", problems, output);
            WriteProblems(problems, count + (2 * added));
            await ResumeAsync($"{count + added:N0} traces published", problems, output);
            return 0;

            async Task ResumeAsync(string what, string problems, string output)
            {
                sending = new TaskCompletionSource<long>();
                var start = Stopwatch.GetTimestamp();
                using var client = Process.Start(
                    new ProcessStartInfo(
                        Environment.ProcessPath!,
                        ["resume-client", "--problems", problems, "--endpoint", server.Url, "--out", output]
                    )
                    {
                        RedirectStandardOutput = true,
                    }
                )!;
                var peak = long.Parse((await client.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
                await client.WaitForExitAsync();
                Console.WriteLine(
                    $"{what}: first request after {Stopwatch.GetElapsedTime(start, await sending.Task).TotalSeconds:F1} s, "
                        + $"end after {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s, memory {peak >> 20} MiB at most"
                );
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The client's verb: collects and says its highest memory in bytes.</summary>
    public static async Task<int> CollectAsync(Arguments arguments)
    {
        await CollectStage.RunAsync(
            Options(arguments.Text("problems")!, arguments.Text("endpoint")),
            arguments.Text("out")!,
            MathVerifier.Instance,
            SilentObserver.Instance,
            TimeProvider.System
        );
        Console.WriteLine(Process.GetCurrentProcess().PeakWorkingSet64);
        return 0;
    }

    static GenerateOptions Options(string problems, string? endpoint) =>
        new()
        {
            Problems = problems,
            Endpoint = endpoint,
            Model = "teacher",
            MaxTokens = Tokens,
            TopLogprobs = Top,
        };

    static void WriteProblems(string path, int count) =>
        File.WriteAllLines(
            path,
            Enumerable
                .Range(0, count)
                .Select(i =>
                    $$"""{"id":"p{{i}}","problem":"Natalia had {{i}} apples, sold half of them and bought 2. How many has she now?","answer":"{{(i / 2) + 2}}","family":"sums"}"""
                )
        );

    /// <summary>Commits the first traces of the plan and leaves the folder as a kill would.</summary>
    static async Task FillAsync(string problems, string output, int count, DatasetDescription dataset)
    {
        var start = Stopwatch.GetTimestamp();
        var options = Options(problems, endpoint: null);
        var folder = new OutputFolder(output, Partition.Whole);
        folder.Create();
        var prompts = await PromptSet.CreateAsync(options, CancellationToken.None);
        Task<CollectionPlan> PlanAsync(Partition partition) =>
            CollectionPlan.CreateAsync(
                new ProblemSource(problems, Limit: null, partition),
                prompts,
                options.Model!,
                new SamplingSettings { MaxTokens = Tokens, TopLogprobs = Top },
                samplesPerProblem: 1,
                options.Seed,
                CancellationToken.None
            );
        await using var store = await TraceStore<CollectionPlan>.OpenAsync(
            folder,
            PlanAsync,
            new StoreOptions(BlockCut.Every(StoreOptions.RowsFor(Tokens, Top)), [], JournalSync.Normal),
            CancellationToken.None
        );
        var journal = store.Describe(dataset);
        await using var compactor = store.StartCompaction();
        await Parallel.ForEachAsync(
            store.Plan.ReadAsync(store.Inventory.IsWanted, CancellationToken.None).Take(count),
            new ParallelOptions { MaxDegreeOfParallelism = 512 },
            async (planned, _) =>
            {
                await journal.AddAsync(TraceOf(planned));
                if (store.Inventory.Arrived(planned.Position) is { } block)
                {
                    compactor.Add(block);
                }
            }
        );
        await compactor.CompleteAsync();
        Console.WriteLine($"{count:N0} traces committed in {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s");
    }

    static Trace TraceOf(PlannedTrace planned) =>
        new()
        {
            Id = planned.Request.Id,
            ProblemId = planned.Problem.Id,
            Source = planned.Problem.Family,
            Messages = planned.Request.Messages,
            Reasoning = "half of them, and two",
            Answer = planned.Problem.Answer,
            Generation = $"<think>half of them, and two</think>{planned.Problem.Answer}",
            ExpectedAnswer = planned.Problem.Answer,
            FinishReason = "stop",
            Verdict = "correct",
            Seed = planned.Request.Sampling.Seed!.Value,
            Temperature = 1,
            TopP = 1,
            Teacher = "teacher",
            PromptTokens = 20,
            CompletionTokens = Tokens,
            Logprobs = new TokenLogprobs
            {
                K = Top,
                TokenIds = [.. Enumerable.Range(0, Tokens)],
                Logprobs = [.. Enumerable.Repeat(-0.5f, Tokens)],
                TopIds = [.. Enumerable.Range(0, Tokens * Top)],
                TopLogprobs = [.. Enumerable.Repeat((float[])[-0.5f, -2], Tokens).SelectMany(row => row)],
            },
        };
}
