using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class ReaskTests
{
    [Fact]
    public async Task RunAsync_FlawsNamed_AreAskedForAgainOnceARunUnderTheirIds()
    {
        using var run = new StoreRun(problems: 12);
        var teacher = new CountingTeacher(request =>
            request.Messages[0].Content switch
            {
                "What is 3 + 2?" => "length",
                "What is 4 + 2?" => "refusal",
                "What is 11 + 2?" => "",
                _ => "stop",
            }
        );
        var counts = (await run.RunAsync(teacher)).Shards.Aggregate(default(TraceCounts), (sum, shard) => sum + shard.Counts);
        Assert.Equal((1, 1, 1), (counts.Length, counts.Refusal, counts.Empty));
        var before = await run.TracesAsync();

        var second = new CountingTeacher(request => request.Messages[0].Content == "What is 4 + 2?" ? "refusal" : "stop");
        await run.RunAsync(second, reask: [TraceFlaw.Length, TraceFlaw.Refusal]);

        var after = await run.TracesAsync();
        Assert.Equal(2, second.Asked.Count);
        Assert.Equal(before.Select(trace => trace.Id), after.Select(trace => trace.Id));
        Assert.Equal(("stop", "refusal", ""), (after[3].FinishReason, after[4].FinishReason, after[11].Answer));
        Assert.NotEqual(before[3].Seed, after[3].Seed);
        Assert.Equal(
            before.Where((_, i) => i is not (3 or 4)).Select(trace => trace.Seed),
            after.Where((_, i) => i is not (3 or 4)).Select(trace => trace.Seed)
        );

        var third = new CountingTeacher();
        await run.RunAsync(third, reask: [TraceFlaw.Length, TraceFlaw.Refusal, TraceFlaw.Empty]);
        Assert.Equal(2, third.Asked.Count);
        Assert.DoesNotContain(after[4].Seed, third.Asked.Keys);
        var fourth = new CountingTeacher();
        await run.RunAsync(fourth, reask: [TraceFlaw.Length, TraceFlaw.Refusal, TraceFlaw.Empty]);
        Assert.Empty(fourth.Asked);
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 1)]
    [InlineData(2, 3)]
    public async Task RunAsync_FlawIsThereInAnotherPartitioning_IsAskedForAgain(int before, int now)
    {
        using var run = new StoreRun(problems: 20);
        var teacher = new CountingTeacher(request =>
            request.Messages[0].Content.EndsWith("7 + 2?", StringComparison.Ordinal) ? "length" : "stop"
        );
        foreach (var index in Enumerable.Range(0, before))
        {
            await run.RunAsync(teacher, partition: new Partition(index, before));
        }

        var again = new CountingTeacher();
        foreach (var index in Enumerable.Range(0, now))
        {
            await run.RunAsync(again, reask: [TraceFlaw.Length], partition: new Partition(index, now));
        }

        Assert.Equal(2, again.Asked.Count);
        Assert.Equal(20, (await run.TracesAsync()).Count(trace => trace.FinishReason == "stop"));
    }

    [Fact]
    public async Task RunAsync_AskedAgainInVain_KeepsWhatWasThere()
    {
        using var run = new StoreRun(problems: 12);
        await run.RunAsync(new CountingTeacher(request => request.Messages[0].Content == "What is 3 + 2?" ? "length" : "stop"));
        var before = run.Files();

        await run.RunAsync(new CountingTeacher(_ => throw new ExternalFailureException("no answer")), reask: [TraceFlaw.Length]);

        Assert.Equal(before, run.Files());
    }

    [Fact]
    public async Task RunAsync_AskedAgainAndStoppedBeforePublication_IsNotLost()
    {
        using var run = new StoreRun(problems: 12);
        await run.RunAsync(new CountingTeacher(request => request.Messages[0].Content == "What is 3 + 2?" ? "length" : "stop"));
        await Assert.ThrowsAsync<TimeoutException>(() =>
            run.RunAsync(new CountingTeacher(), reask: [TraceFlaw.Length], step: _ => throw new TimeoutException())
        );

        var later = new CountingTeacher();
        await run.RunAsync(later, reask: [TraceFlaw.Length]);

        Assert.Empty(later.Asked);
        Assert.Equal("stop", (await run.TracesAsync())[3].FinishReason);
    }
}
