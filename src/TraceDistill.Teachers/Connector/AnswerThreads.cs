using System.Collections.Concurrent;

namespace TraceDistill.Teachers.Connector;

/// <summary>
/// Threads on which answers are parsed, as many as there are processors. On the thread pool's
/// own, a burst of answers would keep what sends the next requests waiting, and the teacher with it.
/// </summary>
static class AnswerThreads
{
    static readonly BlockingCollection<Action> Work = [];

    static AnswerThreads()
    {
        for (var i = 0; i < Environment.ProcessorCount; i++)
        {
            new Thread(Run) { IsBackground = true, Name = $"answers {i}" }.Start();
        }
    }

    /// <param name="work">Work to do.</param>
    /// <param name="goesOnThere">
    /// True where what awaits it is done there, too, up to its next wait; only for code that is known to block on nothing.
    /// </param>
    public static Task<T> RunAsync<T>(Func<T> work, bool goesOnThere)
    {
        var done = new TaskCompletionSource<T>(goesOnThere ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously);
        Work.Add(() =>
        {
            try
            {
                done.SetResult(work());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    static void Run()
    {
        foreach (var work in Work.GetConsumingEnumerable())
        {
            work();
        }
    }
}
