using System.Diagnostics;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>Kills a collecting process without warning, again and again.</summary>
public sealed class KilledCollectionTests
{
    const string UrlVariable = "TRACEDISTILL_TEST_COLLECT_FROM";
    const string ProblemsVariable = "TRACEDISTILL_TEST_COLLECT_PROBLEMS";
    const string OutVariable = "TRACEDISTILL_TEST_COLLECT_INTO";

    static readonly DatasetDescription Dataset = new()
    {
        Teacher = "teacher",
        PromptFunction = "Reasoning/Solve",
        TokenIdentity = TokenIdentity.Ids,
        TopK = 3,
    };

    [Fact(Timeout = 240_000)]
    public async Task RunAsync_KilledAtAnyMoment_LosesNoTraceAndAsksForNoneTwice()
    {
        using var run = new CollectionRun(problems: 60);
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        var collected = new HashSet<string>();
        foreach (var requestsBeforeTheKill in (int[])[1, 9, 17, 14])
        {
            await CollectAndKillAsync(run, server, requestsBeforeTheKill, TestContext.Current.CancellationToken);
            var now = await JournalledAsync(run);
            Assert.Superset(collected, now);
            collected = now;
        }

        Assert.NotEmpty(collected);
        server.Requests.Clear();
        var summary = await run.RunAsync(server, options => options with { ShardRows = 7 });

        var traces = await run.TracesAsync();
        Assert.Equal(60, summary.Count);
        Assert.Equal(60 - collected.Count, summary.Collected);
        Assert.Equal(Enumerable.Range(0, 60).Select(i => $"p{i:000}"), traces.Select(trace => trace.ProblemId));
        var seedsOfCollected = traces.Where(trace => collected.Contains(trace.Id)).Select(trace => trace.Seed).ToHashSet();
        Assert.Equal(collected.Count, seedsOfCollected.Count);
        Assert.DoesNotContain(CollectionRun.Seeds(server.Requests), seedsOfCollected.Contains);
    }

    [Fact]
    public async Task RunAsync_KilledBetweenCollectionAndPublication_PublishesFromTheJournal()
    {
        using var run = new CollectionRun(problems: 4);
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        await run.RunAsync(server);
        var whole = await run.TracesAsync();

        // The journal as it was, the old manifest gone, shards of the new publication half in place.
        Directory.CreateDirectory(run.Out);
        await using (var journal = TraceJournal.Open(run.Out, Dataset))
        {
            await Task.WhenAll(whole.Select(trace => journal.AddAsync(trace)));
        }

        File.Delete(Path.Combine(run.Out, ShardManifest.FileName));
        await File.WriteAllTextAsync(Path.Combine(run.Out, "train-00001-of-00002.parquet"), "torn", TestTeacher.Token);
        server.Requests.Clear();

        var summary = await run.RunAsync(server);

        Assert.Equal((4, 0), (summary.Count, summary.Collected));
        Assert.Empty(CollectionRun.Seeds(server.Requests));
        Assert.Equal(whole.Select(trace => trace.Id), (await run.TracesAsync()).Select(trace => trace.Id));
        Assert.False(TraceJournal.ExistsIn(run.Out));
    }

    [Fact]
    public async Task RunAsync_KilledBetweenManifestAndRemovalOfTheJournal_RemovesItAndNothingElse()
    {
        using var run = new CollectionRun(problems: 4);
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        await run.RunAsync(server);
        await using (var journal = TraceJournal.Open(run.Out, Dataset))
        {
            // What the journal says at that moment: everything is in shards, and they have their names.
            var entry = ShardManifest.Load(run.Out)!.Shards.Single();
            var keys = (await run.TracesAsync()).Select(trace => TraceKey.Of(trace.Id)).ToArray();
            journal.NoteDataSet([new JournalShard(1, entry with { File = "journal.00001.shard" }, entry.File, default, keys)]);
        }

        var summary = await run.RunAsync(server);

        Assert.Equal((4, 0), (summary.Count, summary.Collected));
        Assert.False(TraceJournal.ExistsIn(run.Out));
    }

    /// <summary>Work of the killed process; run by <see cref="CollectAndKillAsync"/> alone.</summary>
    [Fact(Explicit = true)]
    public async Task CollectForAnotherTest()
    {
        string Setting(string name) =>
            Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set");
        var options = new GenerateOptions
        {
            Problems = Setting(ProblemsVariable),
            Endpoint = Setting(UrlVariable),
            Model = "teacher",
            TopLogprobs = 3,
            MaxTokens = 100,
            Concurrency = 4,
            Seed = 5,
            ShardRows = 7,
        };
        await CollectStage.RunAsync(
            options,
            Setting(OutVariable),
            MathVerifier.Instance,
            SilentObserver.Instance,
            TimeProvider.System,
            TestContext.Current.CancellationToken
        );
    }

    static async Task CollectAndKillAsync(CollectionRun run, ProtocolServer server, int requests, CancellationToken cancellationToken)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "TraceDistill.Teachers.Tests");
        var start = new ProcessStartInfo(
            program,
            ["-explicit", "only", "-method", $"{typeof(KilledCollectionTests).FullName}.{nameof(CollectForAnotherTest)}"]
        )
        {
            RedirectStandardOutput = true,
            Environment =
            {
                [UrlVariable] = server.Url,
                [ProblemsVariable] = run.Problems,
                [OutVariable] = run.Out,
            },
        };
        using var process = Process.Start(start)!;
        for (var i = 0; i < requests; i++)
        {
            await server.RequestArrivedAsync(cancellationToken);
        }

        process.Kill();
        await process.WaitForExitAsync(cancellationToken);
    }

    static async Task<HashSet<string>> JournalledAsync(CollectionRun run)
    {
        await using var journal = TraceJournal.Open(run.Out, Dataset);
        return [.. journal.Rows().Concat(journal.Shards().SelectMany(shard => shard.Keys)).Select(key => key.ToString())];
    }
}
