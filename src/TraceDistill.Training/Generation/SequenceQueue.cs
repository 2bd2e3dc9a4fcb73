namespace TraceDistill.Training.Generation;

/// <summary>
/// Sequences that wait, first come first served, and how many run. Workers come here between steps; one with nothing to do sleeps here.
/// </summary>
sealed class SequenceQueue(KeyValueCache cache, int workers, int maxRunning)
{
    readonly Queue<Sequence> _waiting = new();
    readonly object _gate = new();
    int _running;
    bool _stopped;

    public (int Running, int Waiting) Counts
    {
        get
        {
            lock (_gate)
            {
                return (_running, _waiting.Count);
            }
        }
    }

    /// <exception cref="ObjectDisposedException">The engine has been stopped.</exception>
    public void Add(Sequence sequence)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopped, typeof(GenerationEngine));
            _waiting.Enqueue(sequence);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Moves waiting sequences to a worker, as long as it has no more than its share and the cache has room; sleeps while it has none.</summary>
    /// <returns>False when the engine stops.</returns>
    public bool Admit(List<Sequence> running)
    {
        lock (_gate)
        {
            while (!_stopped)
            {
                while (_waiting.TryPeek(out var next) && TryAdmit(next, running))
                {
                    _waiting.Dequeue();
                }

                if (running.Count > 0)
                {
                    return true;
                }

                Monitor.Wait(_gate);
            }

            return false;
        }
    }

    /// <summary>Gives back the room of a sequence that is over.</summary>
    public void Release(Sequence sequence)
    {
        lock (_gate)
        {
            cache.Return(sequence.Pages);
            _running--;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Refuses new sequences and wakes all workers to end.</summary>
    /// <returns>Those that never started.</returns>
    public Sequence[] Stop()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
            Sequence[] left = [.. _waiting];
            _waiting.Clear();
            return left;
        }
    }

    bool TryAdmit(Sequence next, List<Sequence> running)
    {
        if (next.IsOver)
        {
            return true; // Cancelled while it waited: dropped.
        }

        var share = (_running + _waiting.Count + workers - 1) / workers;
        if (running.Count >= share || _running >= maxRunning || !cache.TryRent(next.CacheTokens, out var pages))
        {
            return false;
        }

        next.Pages = pages;
        running.Add(next);
        _running++;
        return true;
    }
}
