using System.Collections.Concurrent;

namespace TraceDistill.Teachers.Connector;

/// <summary>
/// Threads on which answers are made sense of, as many as there are processors. On the thread pool's own, a burst of answers would keep what sends the next
/// requests waiting, and the teacher with it.
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

    /// <summary>Runs <paramref name="work"/> and, up to its next wait, whatever awaits it.</summary>
    public static Task<T> RunAsync<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>();
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
