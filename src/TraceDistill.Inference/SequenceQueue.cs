using TraceDistill.Inference.Kernels;

namespace TraceDistill.Inference;

/// <summary>
/// Sequences that wait, first come first served, and how many run. Workers come here between steps; one with nothing to do sleeps here.
/// </summary>
sealed class SequenceQueue(PagePool cache, int workers, int maxRunning)
{
    readonly LinkedList<Sequence> _waiting = new();
    readonly Dictionary<ReadOnlyMemory<int>, PromptPages> _prompts = new(new PromptPages.TokensComparer());
    readonly object _gate = new();
    int _running;
    int _idle;
    bool _stopped;

    /// <summary>Workers that sleep here.</summary>
    public int Idle => Volatile.Read(ref _idle);

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
            _waiting.AddLast(sequence);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>
    /// Moves waiting sequences to a worker, as long as it has no more than its share and the cache has room; sleeps while it has none.
    /// </summary>
    /// <returns>False when the engine stops.</returns>
    public bool Admit(List<Sequence> running)
    {
        lock (_gate)
        {
            ShareFilledPrompts(running);
            while (!_stopped)
            {
                TakeIn(running);
                if (running.Count > 0)
                {
                    return true;
                }

                _idle++;
                Monitor.Wait(_gate);
                _idle--;
            }

            return false;
        }
    }

    /// <summary>Gives back the room of a sequence that is over.</summary>
    public void Release(Sequence sequence)
    {
        lock (_gate)
        {
            cache.Return(sequence.Pages.AsSpan(sequence.SharedPages));
            if (sequence.Prompt is { } prompt && --prompt.Users == 0)
            {
                cache.Return(prompt.Pages);
                _prompts.Remove(prompt.Tokens);
            }

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

    void ShareFilledPrompts(List<Sequence> running)
    {
        foreach (var sequence in running)
        {
            if (sequence is { Prompt: { AreFilled: false } prompt, InPrompt: false })
            {
                prompt.AreFilled = true;
                Monitor.PulseAll(_gate);
            }
        }
    }

    void TakeIn(List<Sequence> running)
    {
        for (LinkedListNode<Sequence>? node = _waiting.First, following; node is not null; node = following)
        {
            following = node.Next;
            var next = node.Value;
            if (next.IsOver)
            {
                _waiting.Remove(node); // Cancelled while it waited.
                continue;
            }

            var share = (_running + _waiting.Count + workers - 1) / workers;
            if (running.Count >= share || _running >= maxRunning)
            {
                return;
            }

            var prompt = _prompts.GetValueOrDefault(next.SharedTokens);
            if (prompt is { AreFilled: false })
            {
                continue; // Another is at this prompt: it waits for the pages, and lets others by.
            }

            if (!TryRent(next, prompt))
            {
                return;
            }

            _waiting.Remove(node);
            running.Add(next);
            _running++;
        }
    }

    bool TryRent(Sequence next, PromptPages? prompt)
    {
        var shared = next.SharedTokens;
        if (!cache.TryRent(prompt is null ? next.CacheTokens : next.CacheTokens - shared.Length, out var pages))
        {
            return false;
        }

        if (prompt is not null)
        {
            prompt.Users++;
            next.Begin([.. prompt.Pages, .. pages], prompt, position: shared.Length);
            return true;
        }

        if (!shared.IsEmpty)
        {
            prompt = new PromptPages(shared, pages[..cache.PagesOf(shared.Length)]);
            _prompts.Add(shared, prompt);
        }

        next.Begin(pages, prompt, position: 0);
        return true;
    }
}
