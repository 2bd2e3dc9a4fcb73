using System.Runtime.ExceptionServices;
using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Facts of every loop.</summary>
static class CollectionLoop
{
    /// <summary>
    /// Time that a run that is stopped or cannot go on waits for what is in flight: half of the ten seconds after which its end may be
    /// forced.
    /// </summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);
}

/// <summary>
/// Has everything that a plan wants done, a bounded number at a time: stops at the user's word or the budget's end and gives what is in
/// flight a moment to finish, and asks for what failed again after all others.
/// </summary>
/// <typeparam name="T">What is asked for.</typeparam>
/// <param name="retryFor">How long what failed is asked for again while none of it succeeds.</param>
/// <param name="asking">
/// Cancelled as soon as nothing more is to be asked for, for whatever reason: the teacher then sends nothing that waits its turn.
/// </param>
/// <param name="noun">The word for one of them.</param>
sealed class CollectionLoop<T>(
    IRunObserver observer,
    TimeProvider time,
    int concurrency,
    CollectionBudget budget,
    TimeSpan retryFor,
    CancellationTokenSource? asking,
    string noun
)
{
    /// <summary>Interval at which it is looked whether the folder is still there.</summary>
    static readonly TimeSpan FolderCheck = TimeSpan.FromSeconds(1);

    /// <summary>Between two rounds of asking for what failed; doubled while nothing succeeds.</summary>
    static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(15);
    static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <param name="read">Reads what stands at the positions that are asked for, in order.</param>
    /// <param name="isAsked">Positions that are asked for.</param>
    /// <param name="doAsync">Does one, to the journal; a failure that it throws ends the run.</param>
    /// <param name="tally">Counts them, and knows which failed.</param>
    /// <param name="journal">Where they go.</param>
    /// <param name="compactor">Makes shards of them. When it fails, nothing new is asked for.</param>
    /// <param name="stop">Ends the run: nothing new is asked for, and what is in flight has some seconds to finish.</param>
    /// <exception cref="TeacherUnavailableException">
    /// The teacher is gone or refuses everything. What was finished is in the journal.
    /// </exception>
    /// <exception cref="ExternalFailureException">The folder is gone, or the disk is full.</exception>
    public async Task RunAsync(
        Func<Predicate<int>, IAsyncEnumerable<T>> read,
        Predicate<int> isAsked,
        Func<T, CancellationToken, Task> doAsync,
        CollectionTally tally,
        TraceJournal journal,
        ShardCompactor compactor,
        CancellationToken stop
    )
    {
        Exception? fatal = null;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop, compactor.Failed);
        using var abort = new CancellationTokenSource();
        await using var grace = time.CreateTimer(_ => abort.Cancel(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await using var ending = end.Token.Register(() =>
        {
            grace.Change(CollectionLoop.Grace, Timeout.InfiniteTimeSpan);
            asking?.Cancel();
            if (stop.IsCancellationRequested)
            {
                observer.Message($"stopping: waits up to {CollectionLoop.Grace.TotalSeconds:0} s for the answers that are on their way");
            }
        });
        await using var watch = time.CreateTimer(_ => Watch(), state: null, FolderCheck, FolderCheck);
        await AskAsync(isAsked);
        await AskAgainAsync();
        stop.ThrowIfCancellationRequested();
        if (fatal is not null)
        {
            ExceptionDispatchInfo.Throw(fatal);
        }

        // Answers that come from here on have nowhere to go.
        void Watch()
        {
            if (!journal.IsThere && Interlocked.CompareExchange(ref fatal, journal.Gone(), null) is null)
            {
                abort.Cancel();
                end.Cancel();
            }
        }

        async Task AskAsync(Predicate<int> isAskedNow)
        {
            try
            {
                await Parallel.ForEachAsync(
                    read(isAskedNow).TakeWhile(_ => !end.IsCancellationRequested && !budget.IsSpent),
                    new ParallelOptions { MaxDegreeOfParallelism = concurrency, CancellationToken = abort.Token },
                    async (wanted, token) =>
                    {
                        try
                        {
                            await doAsync(wanted, token);
                        }
                        catch (Exception e) when (!(e is OperationCanceledException && token.IsCancellationRequested))
                        {
                            // Thrown from here, it would cancel the others at once, who may be a moment from answers that are paid for.
                            Interlocked.CompareExchange(ref fatal, e, null);
                            await end.CancelAsync();
                        }
                    }
                );
            }
            catch (OperationCanceledException) when (abort.IsCancellationRequested)
            {
                // Said in one place, above, whether or not the grace was enough.
            }
        }

        // Once all others were asked for: what failed does not stand in their way.
        async Task AskAgainAsync()
        {
            var pause = FirstPause;
            for (
                var isFirst = true;
                tally.Passing() is { Count: > 0 } failed && tally.Quiet is var quiet && quiet < retryFor && !budget.IsSpent;
                isFirst = false
            )
            {
                if (isFirst)
                {
                    observer.Message(
                        $"{Counted.Of(failed.Count, noun)} failed, to be asked for again while that may help, "
                            + $"for {Words(retryFor)} without a trace at most (retry_for): {FailedSample.Describe(failed)}"
                    );
                }

                try
                {
                    await Task.Delay(pause < retryFor - quiet ? pause : retryFor - quiet, time, end.Token);
                }
                catch (OperationCanceledException)
                {
                    return;
                }

                var before = tally.Collected;
                await AskAsync(failed.Select(failure => failure.Position).ToHashSet().Contains);
                pause =
                    tally.Collected > before ? FirstPause
                    : pause * 2 < LongestPause ? pause * 2
                    : LongestPause;
            }
        }
    }

    static string Words(TimeSpan time) => time < TimeSpan.FromMinutes(2) ? $"{time.TotalSeconds:0} s" : $"{time.TotalMinutes:0} min";
}
