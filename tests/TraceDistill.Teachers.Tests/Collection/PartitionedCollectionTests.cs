using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>Several processes collect into one folder, each its partition.</summary>
public sealed class PartitionedCollectionTests
{
    [Fact]
    public async Task RunAsync_SharesAtOnce_AreTogetherWhatOneProcessCollects()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var one = new CollectionRun(problems: 40);
        using var shared = new CollectionRun(problems: 40);

        await one.RunAsync(server);
        await Task.WhenAll(
            Enumerable.Range(0, 4).Select(i => shared.RunAsync(server, options => options with { Partition = $"{i}/4", ShardRows = 3 }))
        );

        var manifest = ShardManifest.Load(shared.Out)!;
        Assert.Equal(40, manifest.Rows);
        Assert.Equal(
            manifest.Shards.Select(shard => shard.File).Order(StringComparer.Ordinal),
            manifest.Shards.Select(shard => shard.File)
        );
        Assert.All(manifest.Shards, shard => Assert.Matches(@"^train-0000[0-3]-of-00004-0000\d\.parquet$", shard.File));
        Assert.Equal((await one.TracesAsync()).Select(Content).Order(), (await shared.TracesAsync()).Select(Content).Order());
        Assert.Empty(Directory.EnumerateFiles(shared.Out, "journal*"));
        Assert.Empty(Directory.EnumerateFiles(shared.Out, "*.tmp"));
    }

    [Fact]
    public async Task RunAsync_ShareThatIsDone_AsksForNothing()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 20);
        var first = await run.RunAsync(server, options => options with { Partition = "1/2" });
        var asked = server.Requests.Count;

        var second = await run.RunAsync(server, options => options with { Partition = "1/2" });

        Assert.Equal(first with { Collected = 0, Usage = second.Usage }, second);
        Assert.Equal(asked, server.Requests.Count);
        Assert.Null(ShardManifest.Load(run.Out));
        Assert.Contains("part-0-of-2.manifest.json", (await Assert.ThrowsAsync<InvalidInputException>(run.TracesAsync)).Message);

        await run.RunAsync(server, options => options with { Partition = "0/2" });
        Assert.Equal(20, (await run.TracesAsync()).Count);
        asked = server.Requests.Count;
        Assert.Equal((20, 0), (await run.RunAsync(server)) is var whole ? (whole.Count, whole.Collected) : default);
        Assert.Equal(asked, server.Requests.Count);
    }

    [Fact]
    public async Task RunAsync_ShareThatGrows_ReplacesItsPartOfTheWhole()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 20);
        foreach (var samples in (int[])[1, 2])
        {
            for (var i = 0; i < 2; i++)
            {
                await run.RunAsync(server, options => options with { Partition = $"{i}/2", SamplesPerProblem = samples });
            }
        }

        Assert.Equal(40, (await run.TracesAsync()).Select(trace => trace.Id).Distinct().Count());
        Assert.Equal(40, CollectionRun.Seeds(server.Requests).Distinct().Count());
        Assert.Equal(40, CollectionRun.Seeds(server.Requests).Count());
    }

    [Fact]
    public async Task RunAsync_SharesOfAnotherTeacher_AreNotJoined()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 20);
        await run.RunAsync(server, options => options with { Partition = "0/2" });

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            run.RunAsync(server, options => options with { Partition = "1/2", Temperature = 0.5 })
        );

        Assert.Contains("temperature", error.Message);
        Assert.Null(ShardManifest.Load(run.Out));
    }

    [Theory]
    [InlineData("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8 SLURM_ARRAY_TASK_MIN=0", null, "3/8")]
    [InlineData("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8 SLURM_ARRAY_TASK_MIN=1", null, "2/8")]
    [InlineData("SLURM_ARRAY_TASK_ID=14 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=2 SLURM_ARRAY_TASK_STEP=4", null, "3/4")]
    [InlineData("JOB_COMPLETION_INDEX=0 JOB_COMPLETIONS=5", null, "0/5")]
    [InlineData("JOB_COMPLETION_INDEX=4", 5, "4/5")]
    [InlineData("SLURM_ARRAY_TASK_ID=4", 5, "4/5")]
    [InlineData("HOME=x SLURM_ARRAY_TASK_ID=", null, null)]
    public void Find_JobEnvironments_TellThePartition(string variables, int? partitions, string? expected) =>
        Assert.Equal(
            expected,
            PartitionEnvironment.Find(Variables(variables), partitions) is { } found
                ? $"{found.Partition.Index}/{found.Partition.Count}"
                : null
        );

    [Theory]
    [InlineData("JOB_COMPLETION_INDEX=4", null, "--partitions")]
    [InlineData("SLURM_ARRAY_TASK_ID=4", null, "SLURM_ARRAY_TASK_COUNT")]
    [InlineData("JOB_COMPLETION_INDEX=5 JOB_COMPLETIONS=5", null, "partition 5 of 5")]
    [InlineData("SLURM_ARRAY_TASK_ID=9 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=1", null, "partition 8 of 2")]
    [InlineData("SLURM_ARRAY_TASK_ID=x SLURM_ARRAY_TASK_COUNT=2", null, "'x'")]
    public void Find_EnvironmentThatMakesNoSense_SaysSo(string variables, int? partitions, string expected) =>
        Assert.Contains(
            expected,
            Assert.Throws<InvalidInputException>(() => PartitionEnvironment.Find(Variables(variables), partitions)).Message
        );

    static Func<string, string?> Variables(string text)
    {
        var variables = text.Split(' ').Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        return name => variables.GetValueOrDefault(name);
    }

    static string Content(Trace trace) =>
        $"{trace.Id} {trace.ProblemId} {trace.Seed} {trace.Generation} {string.Join(',', trace.Logprobs!.TopIds)} {trace.Verdict}";
}
