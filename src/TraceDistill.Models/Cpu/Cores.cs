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

    int _idle = count;

    /// <summary>Does <paramref name="work"/> on the calling thread, which keeps one core busy meanwhile.</summary>
    public void Run(Action work)
    {
        // The number of OpenMP threads is a setting of each thread, and libtorch's products read it: with several,
        // it would be libtorch that cuts the work, by their number.
        set_num_threads(1);
        Interlocked.Decrement(ref _idle);
        var outer = _current;
        _current = this;
        try
        {
            work();
        }
        finally
        {
            _current = outer;
            Interlocked.Increment(ref _idle);
        }
    }

    /// <summary>Calls <paramref name="part"/> with 0 to <paramref name="parts"/> − 1, on the thread's idle cores too.</summary>
    /// <param name="parts">Their number.</param>
    /// <param name="part">Parts must not read what another one writes; gradients of what they do are not recorded.</param>
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

        var next = -1;
        try
        {
            Parallel.For(0, helpers + 1, new ParallelOptions { MaxDegreeOfParallelism = helpers + 1 }, _ =>
            {
                // What a part does is not cut once more.
                var outer = _current;
                _current = null;
                set_num_threads(1);
                using var noGrad = no_grad();
                try
                {
                    for (var index = Interlocked.Increment(ref next); index < parts; index = Interlocked.Increment(ref next))
                    {
                        part(index);
                    }
                }
                finally
                {
                    _current = outer;
                }
            });
        }
        catch (AggregateException error)
        {
            ExceptionDispatchInfo.Throw(error.InnerExceptions[0]);
        }
        finally
        {
            Interlocked.Add(ref cores!._idle, helpers);
        }
    }

    int Take(int wanted)
    {
        for (var idle = Volatile.Read(ref _idle); idle > 0; idle = Volatile.Read(ref _idle))
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
