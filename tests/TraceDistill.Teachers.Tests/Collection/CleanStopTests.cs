using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>Ends that nobody planned, and what is there afterwards.</summary>
public sealed class CleanStopTests
{
    [Fact]
    public async Task CollectAsync_StoppedWithSilentTeacher_WaitsFiveSecondsAndKeepsWhatIsDone()
    {
        using var run = new StoreRun(problems: 12);
        using var stop = new CancellationTokenSource();
        var (time, answered, teacher) = (new VirtualTime(), 0, new CountingTeacher());
        var silent = new TaskCompletionSource();
        var collecting = CollectAsync(
            run,
            time,
            SilentObserver.Instance,
            async (request, token) =>
            {
                if (Interlocked.Increment(ref answered) <= 7)
                {
                    return await teacher.GenerateAsync(request, token);
                }

                silent.TrySetResult();
                await Task.Delay(Timeout.Infinite, token);
                throw new InvalidOperationException("never answers");
            },
            stop.Token
        );
        await silent.Task;

        await stop.CancelAsync();
        time.Advance(CollectionLoop.Grace - TimeSpan.FromMilliseconds(1));
        Assert.False(collecting.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => collecting);

        Assert.InRange(CollectionLoop.Grace.TotalSeconds, 1, 8);
        await run.RunAsync(teacher);
        Assert.Equal(12, (await run.TracesAsync()).Count);
        Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CollectAsync_TeacherRefusesOne_KeepsWhatIsInFlightAndAsksForNothingMore(bool isStopped)
    {
        using var run = new StoreRun(problems: 12);
        using var stop = new CancellationTokenSource();
        using var asking = new CancellationTokenSource();
        var (asked, teacher) = (0, new CountingTeacher());
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var ending = asking.Token.Register(end.SetResult);

        var error = await Assert.ThrowsAnyAsync<Exception>(() =>
            CollectAsync(
                run,
                new VirtualTime(),
                SilentObserver.Instance,
                async (request, token) =>
                {
                    if (Interlocked.Increment(ref asked) == 3)
                    {
                        await (isStopped ? stop.CancelAsync() : Task.CompletedTask);
                        throw new TeacherUnavailableException("the key is refused");
                    }

                    await end.Task.WaitAsync(token);
                    return await teacher.GenerateAsync(request, token);
                },
                stop.Token,
                asking
            )
        );

        Assert.Equal(isStopped, error is OperationCanceledException);
        Assert.Equal(!isStopped, error is TeacherUnavailableException);
        Assert.Equal((3, 2), (asked, teacher.Asked.Count));
        await run.RunAsync(teacher);
        Assert.Equal(12, teacher.Asked.Count);
        Assert.All(teacher.Asked, one => Assert.Equal(1, one.Value));
    }

    [Fact]
    public async Task CollectAsync_FolderVanishes_EndsAndAcknowledgesNothingMore()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "an open file cannot be deleted there");
        using var run = new StoreRun(problems: 40);
        var (answered, observer, teacher) = (0, new RecordingObserver(), new CountingTeacher());

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            CollectAsync(
                run,
                new VirtualTime(),
                observer,
                (request, token) =>
                {
                    // The others wait until it is done.
                    lock (teacher)
                    {
                        if (++answered == 4)
                        {
                            Directory.Delete(run.Out, recursive: true);
                        }
                    }

                    return teacher.GenerateAsync(request, token);
                },
                TestTeacher.Token
            )
        );

        Assert.Contains("is gone", error.Message);
        Assert.InRange(observer.Steps.Count, 0, 4);
        Assert.False(Directory.Exists(run.Out));
    }

    [Fact]
    public async Task CollectAsync_ShardCannotBeWritten_EndsAndGoesOnLater()
    {
        using var run = new StoreRun(problems: 40);
        Directory.CreateDirectory(Path.Combine(run.Out, "journal.00001.shard.tmp"));
        var teacher = new CountingTeacher();

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => run.RunAsync(teacher));
        Assert.Contains(run.Out, error.Message);

        Directory.Delete(Path.Combine(run.Out, "journal.00001.shard.tmp"));
        await run.RunAsync(teacher);
        Assert.Equal(40, (await run.TracesAsync()).Count);
        Assert.All(teacher.Asked, asked => Assert.Equal(1, asked.Value));
    }

    static async Task CollectAsync(
        StoreRun run,
        TimeProvider time,
        IRunObserver observer,
        Func<GenerationRequest, CancellationToken, Task<GenerationResult>> answer,
        CancellationToken stop,
        CancellationTokenSource? asking = null
    )
    {
        await using var store = await run.OpenAsync();
        var journal = store.Describe(StoreRun.Dataset);
        await using var compactor = store.StartCompaction();
        var collector = new TraceCollector(
            new Teacher(answer),
            MathVerifier.Instance,
            new TokenResolver(tokenizer: null),
            StoreRun.Dataset,
            observer,
            time,
            concurrency: 3,
            CollectionBudget.Unlimited,
            asking: asking
        );
        await collector.CollectAsync(store.Plan, store.Inventory, journal, compactor, stop);
    }

    sealed class Teacher(Func<GenerationRequest, CancellationToken, Task<GenerationResult>> answer) : ITextGenerator
    {
        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
            answer(request, cancellationToken);
    }
}
