using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// The cores that threads with work of their own share: one that has idle cores beside it has them take parts of what it
/// computes. Parts follow from the size of the work alone, so that neither their number nor who computes them changes a bit.
/// </summary>
/// <param name="count">Cores in all.</param>
public sealed class Cores(int count)
{
    [ThreadStatic]
    static Cores? _current;

    readonly int _count = count;
    int _idle = count;

    /// <summary>
    /// Cores that no lane and no part keeps busy; below zero for a moment, where a lane begins while parts are being done.
    /// </summary>
    internal int Idle => Volatile.Read(ref _idle);

    /// <summary>
    /// Calls <paramref name="work"/> with 0 to <paramref name="lanes"/> − 1, each on a core of its own as far as there are so many.
    /// </summary>
    /// <exception cref="Exception">What a lane threw, as it threw it.</exception>
    public void Each(int lanes, Action<int> work) => OnThreads(Math.Min(lanes, _count), lanes, lane =>
        {
            Interlocked.Decrement(ref _idle);
            _current = this;
            try
            {
                work(lane);
            }
            finally
            {
                _current = null;
                Interlocked.Increment(ref _idle);
            }
        });

    /// <summary>Calls <paramref name="part"/> with 0 to <paramref name="parts"/> − 1, on the thread's idle cores too.</summary>
    /// <param name="parts">Their number.</param>
    /// <param name="part">
    /// Parts must not read what another one writes. What one does is not shared once more, and its gradients are not recorded.
    /// </param>
    internal static void For(int parts, Action<int> part)
    {
        var cores = parts > 1 ? _current : null;
        var helpers = cores?.Take(parts - 1) ?? 0;
        if (helpers == 0)
        {
            for (var index = 0; index < parts; index++)
            {
                part(index);
            }

            return;
        }

        _current = null;
        try
        {
            OnThreads(helpers + 1, parts, index =>
            {
                using var noGrad = no_grad();
                part(index);
            });
        }
        finally
        {
            _current = cores;
            Interlocked.Add(ref cores!._idle, helpers);
        }
    }

    /// <summary>Items in their order on so many threads, the caller's among them; after one that fails no other is begun.</summary>
    static void OnThreads(int threads, int items, Action<int> work)
    {
        var next = -1;
        try
        {
            Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
            {
                // With several OpenMP threads it would be libtorch that cuts products and sums, by their number. The setting
                // stays: what follows on this thread must not depend on their number either.
                set_num_threads(1);
                try
                {
                    for (var item = Interlocked.Increment(ref next); item < items; item = Interlocked.Increment(ref next))
                    {
                        work(item);
                    }
                }
                catch
                {
                    Volatile.Write(ref next, items);
                    throw;
                }
            });
        }
        catch (AggregateException several)
        {
            ExceptionDispatchInfo.Throw(several.InnerExceptions[0]);
        }
    }

    int Take(int wanted)
    {
        for (var idle = Idle; idle > 0; idle = Idle)
        {
            var taken = Math.Min(idle, wanted);
            if (Interlocked.CompareExchange(ref _idle, idle - taken, idle) == idle)
            {
                return taken;
            }
        }

        return 0;
    }
}
