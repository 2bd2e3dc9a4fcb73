using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>A collection that goes on in another number of partitions than before.</summary>
public sealed class RepartitioningTests
{
    const int Problems = 17;

    public static TheoryData<int, int> Partitionings =>
        new()
        {
            { 1, 2 },
            { 2, 1 },
            { 2, 3 },
            { 4, 3 },
        };

    [Theory]
    [MemberData(nameof(Partitionings))]
    public async Task RunAsync_HalfOfItPublishedAndJournalledInAnotherPartitioning_AsksForTheRestAlone(int before, int now)
    {
        using var expected = await CollectAsync(now);
        using var run = new StoreRun(Problems);
        var teacher = new CountingTeacher();
        await LeaveHalfAsync(run, teacher, before);
        Assert.InRange(teacher.Asked.Count, 1, Problems - 1);

        await RunPartitionsAsync(run, teacher, now);

        Assert.Equal(Problems, teacher.Asked.Count);
        Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
        Assert.Equal(expected.Files(), run.Files());
    }

    [Theory]
    [MemberData(nameof(Partitionings))]
    public async Task RunAsync_CompleteInAnotherPartitioning_DoesNothingUntilMoreIsWanted(int before, int now)
    {
        using var expected = await CollectAsync(now, samples: 2);
        using var run = new StoreRun(Problems);
        var teacher = new CountingTeacher();
        await RunPartitionsAsync(run, teacher, before);
        var files = run.Files();

        await RunPartitionsAsync(run, teacher, now);
        Assert.Equal(files, run.Files());

        await RunPartitionsAsync(run, teacher, now, samples: 2);
        Assert.Equal(2 * Problems, teacher.Asked.Count);
        Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
        Assert.Equal(expected.Files(), run.Files());
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(4, 3)]
    public async Task RunAsync_EndedBeforeAnyStepOfAnyPartition_GoesOnToTheSameFilesInEitherPartitioning(int before, int now)
    {
        using var expected = await CollectAsync(now, samples: 2);
        using var expectedBefore = await CollectAsync(before, samples: 2);
        var wasKilled = true;
        for (var survived = 0; wasKilled; survived++)
        {
            foreach (var (next, files) in (IEnumerable<(int, StoreRun)>)[(now, expected), (before, expectedBefore)])
            {
                using var run = new StoreRun(Problems);
                var teacher = new CountingTeacher();
                await RunPartitionsAsync(run, teacher, before);
                var left = survived;
                try
                {
                    await RunPartitionsAsync(run, teacher, now, samples: 2, step: _ =>
                    {
                        if (left-- == 0)
                        {
                            throw new EndOfProcess();
                        }
                    });
                    wasKilled = false;
                }
                catch (EndOfProcess)
                {
                    wasKilled = true;
                }

                await RunPartitionsAsync(run, teacher, next, samples: 2);
                await RunPartitionsAsync(run, teacher, next, samples: 2);

                Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
                Assert.Equal(2 * Problems, (await run.TracesAsync()).Select(trace => trace.Id).Distinct().Count());

                // Killed when the new partitioning was complete, it has nothing left to be done by the old one.
                var isLeftAsItWas =
                    next == before
                    && ShardManifest.Load(run.Out)!.Shards.All(shard => expected.Files().Any(file => file.Name == shard.File));
                if (!isLeftAsItWas)
                {
                    Assert.Equal(files.Files().Select(file => file.Name), run.Files().Select(file => file.Name));
                    Assert.Equal(files.Files(), run.Files());
                }
            }
        }
    }

    [Fact]
    public async Task RunAsync_TracesThatThePlanNoLongerWants_AreKept()
    {
        using var run = new StoreRun(Problems);
        var teacher = new CountingTeacher();
        await RunPartitionsAsync(run, teacher, 1, samples: 3);
        run.WriteProblems(Problems + 5);

        await RunPartitionsAsync(run, teacher, 4, samples: 2);

        Assert.Equal((3 * Problems) + 10, (await run.TracesAsync()).Select(trace => trace.Id).Distinct().Count());
        Assert.Equal((3 * Problems) + 10, teacher.Asked.Count);
    }

    [Fact]
    public async Task OpenAsync_WhileARunOfAnotherPartitioningIsAtWork_SaysSo()
    {
        using var run = new StoreRun(Problems);
        await RunPartitionsAsync(run, new CountingTeacher(), 2);
        await using var atWork = await run.OpenAsync(samples: 2, partition: new Partition(1, 2));

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => run.OpenAsync(samples: 2, partition: new Partition(0, 3)));

        Assert.Contains(".lock-1-of-2", error.Message);
    }

    [Fact]
    public async Task OpenAsync_DamagedJournalOfAnotherPartitioning_NamesIt()
    {
        using var run = new StoreRun(Problems);
        await LeaveHalfAsync(run, new CountingTeacher(), 1);
        var journal = Path.Combine(run.Out, "journal.db");
        await File.WriteAllTextAsync(journal, new string('x', 5000), TestTeacher.Token);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.OpenAsync(partition: new Partition(0, 3)));

        Assert.StartsWith(journal, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.EnumerateDirectories(run.Out), _ => true);
    }

    [Fact]
    public async Task OpenAsync_ManifestOfAPartitionIsMissing_SaysWhatToDo()
    {
        using var run = new StoreRun(Problems);
        await RunPartitionsAsync(run, new CountingTeacher(), 2);
        File.Delete(Path.Combine(run.Out, "part-1-of-2.manifest.json"));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.OpenAsync(samples: 2, partition: new Partition(1, 2)));
        Assert.Contains("part-1-of-2.manifest.json", error.Message);
        await RunPartitionsAsync(run, new CountingTeacher(), 1, samples: 2);

        Assert.Equal(2 * Problems, (await run.TracesAsync()).Count);
    }

    [Fact]
    public async Task RunAsync_PartitionsOfTheNewPartitioningAtOnce_TakeOverWhatIsTheirs()
    {
        using var run = new StoreRun(Problems);
        var teacher = new CountingTeacher();
        await LeaveHalfAsync(run, teacher, 2);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(index => run.RunAsync(teacher, partition: new Partition(index, 4))));

        Assert.Equal(Problems, teacher.Asked.Count);
        Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
        Assert.Equal(Problems, ShardManifest.Load(run.Out)!.Rows);
    }

    static async Task<StoreRun> CollectAsync(int partitions, int samples = 1)
    {
        var run = new StoreRun(Problems);
        await RunPartitionsAsync(run, new CountingTeacher(), partitions, samples);
        return run;
    }

    static async Task RunPartitionsAsync(
        StoreRun run,
        CountingTeacher teacher,
        int partitions,
        int samples = 1,
        Action<string>? step = null
    )
    {
        for (var index = 0; index < partitions; index++)
        {
            await run.RunAsync(teacher, samples, step: step, partition: new Partition(index, partitions));
        }
    }

    /// <summary>Leaves partitions that are published, and the last one with rows and a shard in its journal.</summary>
    static async Task LeaveHalfAsync(StoreRun run, CountingTeacher teacher, int partitions)
    {
        var last = partitions / 2;
        for (var index = 0; index < last; index++)
        {
            await run.RunAsync(teacher, partition: new Partition(index, partitions));
        }

        var mortal = new MortalTeacher(teacher, answers: partitions == 1 ? 11 : 2);
        await Assert.ThrowsAsync<EndOfProcess>(() => run.RunAsync(mortal, partition: new Partition(last, partitions)));
    }

    /// <summary>Ends its process once it has given a number of answers.</summary>
    sealed class MortalTeacher(CountingTeacher teacher, int answers) : ITextGenerator
    {
        int _left = answers;

        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
            Interlocked.Decrement(ref _left) >= 0 ? teacher.GenerateAsync(request, cancellationToken) : throw new EndOfProcess();
    }

    sealed class EndOfProcess : Exception;
}
