using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>Traces on their way from the journal into shards, and what a sudden end between any two steps of it leaves.</summary>
public sealed class CompactionTests
{
    [Fact]
    public async Task Collection_WithCompleteBlocks_MovesThemIntoShardsAndDropsTheirRows()
    {
        using var run = new StoreRun(problems: 13);
        var shards = 0;

        await run.RunAsync(new CountingTeacher(), step: name => shards += name == "take note of a shard" ? 1 : 0);

        Assert.Equal(3, shards);
        Assert.Equal([5, 5, 3], ShardManifest.Load(run.Out)!.Shards.Select(shard => shard.Rows));
        Assert.Equal(Enumerable.Range(0, 13).Select(i => $"p{i:000}"), (await run.TracesAsync()).Select(trace => trace.ProblemId));
        Assert.Equal(
            ["README.md", "manifest.json", "train-00000-of-00003.parquet", "train-00001-of-00003.parquet", "train-00002-of-00003.parquet"],
            run.Files().Select(file => file.Name)
        );
    }

    [Fact]
    public async Task Collection_EndedBeforeAnyStep_GoesOnToTheSameFilesAndAsksForNothingTwice()
    {
        using var whole = new StoreRun(problems: 13);
        await whole.RunAsync(new CountingTeacher());

        await KillBeforeEachStepAsync(13, whole.Files(), _ => Task.CompletedTask, samples: 1);
    }

    [Fact]
    public async Task GrownCollection_EndedBeforeAnyStep_GoesOnToTheSameFilesAndAsksForNothingTwice()
    {
        using var whole = new StoreRun(problems: 7);
        await whole.RunAsync(new CountingTeacher(), samples: 2);

        await KillBeforeEachStepAsync(7, whole.Files(), async (run, teacher) => await run.RunAsync(teacher, samples: 1), samples: 2);
    }

    [Fact]
    public async Task AppendedCollection_EndedBeforeAnyStep_KeepsTheShardsThatAreFull()
    {
        using var whole = new StoreRun(problems: 17);
        await whole.RunAsync(new CountingTeacher());

        await KillBeforeEachStepAsync(
            12,
            whole.Files(),
            async (run, teacher) =>
            {
                await run.RunAsync(teacher);
                run.WriteProblems(17);
            },
            samples: 1
        );
    }

    [Fact]
    public async Task Inventory_PlanThatLost_TracesStayAtTheEnd()
    {
        using var run = new StoreRun(problems: 8);
        var teacher = new CountingTeacher();
        await run.RunAsync(teacher, samples: 2);
        run.WriteProblems(9);

        await run.RunAsync(teacher, samples: 1);

        var traces = await run.TracesAsync();
        Assert.Equal(17, traces.Count);
        Assert.Equal(
            Enumerable.Range(0, 9).Select(i => ($"p{i:000}", 0)),
            traces.Take(9).Select(trace => (trace.ProblemId, trace.SampleIndex))
        );
        Assert.All(traces.Skip(9), trace => Assert.Equal(1, trace.SampleIndex));
    }

    [Fact]
    public async Task Collection_WithDiskThatFillsUp_LosesNothingThatWasAcknowledged()
    {
        using var run = new StoreRun(problems: 13);
        var teacher = new CountingTeacher();

        var error = await Assert.ThrowsAsync<IOException>(() => run.RunAsync(teacher, step: name => throw new IOException("no space")));

        Assert.Equal("no space", error.Message);
        await run.RunAsync(teacher);
        Assert.Equal(13, (await run.TracesAsync()).Count);
    }

    /// <param name="problems">Problems at the start.</param>
    /// <param name="expected">The files in the end.</param>
    /// <param name="before">Work done before, uninterrupted.</param>
    /// <param name="samples">Samples of each problem.</param>
    static async Task KillBeforeEachStepAsync(
        int problems,
        List<(string, string)> expected,
        Func<StoreRun, CountingTeacher, Task> before,
        int samples
    )
    {
        var wasKilled = true;
        for (var survived = 0; wasKilled; survived++)
        {
            using var run = new StoreRun(problems);
            var teacher = new CountingTeacher();
            await before(run, teacher);
            var left = survived;
            try
            {
                await run.RunAsync(teacher, samples, step: _ =>
                {
                    if (left-- == 0)
                    {
                        throw new EndOfProcess();
                    }
                });
                wasKilled = false;
            }
            catch (EndOfProcess) { }

            await run.RunAsync(teacher, samples);

            Assert.Equal(expected, run.Files());
            Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
        }
    }

    static Task KillBeforeEachStepAsync(int problems, List<(string, string)> expected, Func<StoreRun, Task> before, int samples) =>
        KillBeforeEachStepAsync(problems, expected, (run, _) => before(run), samples);

    sealed class EndOfProcess : Exception;
}
