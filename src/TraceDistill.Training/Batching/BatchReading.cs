using System.Threading.Channels;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>
/// Threads that make batches ahead of who takes them. What there is to do stands in one line: the reading
/// of a group before the first batch that has a sequence of it, batches in their order. Each thread takes
/// what comes next, and whatever waits, waits for something before it, so that one thread is enough.
/// </summary>
/// <remarks>The threads are not of the pool, which the training itself keeps busy.</remarks>
sealed class BatchReading : IDisposable
{
    readonly BatchPlan _plan;
    readonly Lock _line = new();
    readonly Queue<Action> _jobs = [];
    readonly IEnumerator<PlannedBatch> _batches;
    readonly Dictionary<(int Set, int Group), Task<TraceTokens?[]>> _groups = [];
    readonly Channel<Task<IReadOnlyList<TraceTokens>>> _made;
    readonly CancellationTokenSource _stop = new();
    readonly Thread[] _threads;

    /// <summary>Sequences that are still to be taken out of their groups.</summary>
    readonly List<Task> _taking = [];

    /// <summary>Done once nothing holds a group any more that the plan has let go.</summary>
    Task _letGo = Task.CompletedTask;

    /// <param name="plan">The order.</param>
    /// <param name="update">The first batch that is wanted. Those before it are not read, nor is what they alone need.</param>
    /// <param name="threads">Threads.</param>
    public BatchReading(BatchPlan plan, long update, int threads)
    {
        _plan = plan;
        _batches = plan.Batches().GetEnumerator();
        _made = Channel.CreateBounded<Task<IReadOnlyList<TraceTokens>>>(
            new BoundedChannelOptions(threads + 1)
            {
                // Whoever makes room wakes whoever waits for it, without a thread of the pool between them.
                SingleReader = true,
                AllowSynchronousContinuations = true,
            }
        );
        foreach (var (group, taken) in GroupsAt(update))
        {
            Load(group, taken);
        }

        _threads = [.. Enumerable.Range(0, threads).Select(_ => new Thread(Work) { IsBackground = true, Name = "training data" })];
        Array.ForEach(_threads, thread => thread.Start());
    }

    /// <summary>Waits for the next batch.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The batch; null where the wait was cancelled.</returns>
    /// <exception cref="InvalidInputException">What it needs cannot be read.</exception>
    public IReadOnlyList<TraceTokens>? Next(CancellationToken cancellationToken)
    {
        try
        {
            var batch = _made.Reader.ReadAsync(cancellationToken).AsTask().GetAwaiter().GetResult();
            return batch.WaitAsync(cancellationToken).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>Stops the threads and waits for their end.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        Array.ForEach(_threads, thread => thread.Join());
        _batches.Dispose();
        _stop.Dispose();
    }

    /// <summary>Goes over the batches before the first one that is wanted.</summary>
    /// <returns>The groups that are in memory then, and the rows of each that were taken out of it before.</returns>
    Dictionary<(int Set, int Group), List<int>> GroupsAt(long update)
    {
        var groups = new Dictionary<(int, int), List<int>>();
        for (var passed = 0L; passed < update && _batches.MoveNext(); passed++)
        {
            foreach (var step in _batches.Current.Steps)
            {
                var key = (step.Set, step.Group);
                switch (step.Kind)
                {
                    case BatchStepKind.Load:
                        groups[key] = [];
                        break;
                    case BatchStepKind.Take or BatchStepKind.Skip:
                        groups[key].Add(step.Row);
                        break;
                    case BatchStepKind.Unload:
                        groups.Remove(key);
                        break;
                }
            }
        }

        return groups;
    }

    void Work()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                TakeJob()();
            }
        }
        catch (Exception failure)
        {
            _made.Writer.TryComplete(failure);
        }
    }

    Action TakeJob()
    {
        lock (_line)
        {
            if (_jobs.Count == 0)
            {
                Plan();
            }

            return _jobs.Dequeue();
        }
    }

    /// <summary>Puts the next batch at the end of the line, once there is room for it, and before it what it needs.</summary>
    void Plan()
    {
        var batch = new TaskCompletionSource<IReadOnlyList<TraceTokens>>();
        var room = _made.Writer.WriteAsync(batch.Task, _stop.Token);
        if (!room.IsCompletedSuccessfully)
        {
            room.AsTask().GetAwaiter().GetResult();
        }

        try
        {
            _batches.MoveNext();
            Prepare(batch, _batches.Current);
        }
        catch (Exception failure)
        {
            // Its reader gets the exception: the batch is in the channel already, and nothing else would ever complete it.
            batch.SetException(failure);
            throw;
        }
    }

    /// <summary>Puts what a batch needs into the line, and its making behind it.</summary>
    void Prepare(TaskCompletionSource<IReadOnlyList<TraceTokens>> batch, PlannedBatch planned)
    {
        var (made, sequences) = (new List<Task<TraceTokens[]>>(), new List<PlannedSequence>());
        foreach (var step in planned.Steps)
        {
            var key = (step.Set, step.Group);
            switch (step.Kind)
            {
                case BatchStepKind.Load:
                    Load(key);
                    break;
                case BatchStepKind.Unload:
                    MakeSoFar();
                    _groups.Remove(key);
                    _taking.RemoveAll(taking => taking.IsCompleted);
                    _letGo = Task.WhenAll(_taking);
                    break;
                default:
                    sequences.Add(new PlannedSequence(_plan.Sets[step.Set].Groups[step.Group], _groups[key], step));
                    break;
            }
        }

        MakeSoFar();
        _jobs.Enqueue(() => Complete(batch, () => [.. made.SelectMany(part => part.GetAwaiter().GetResult())]));

        // A batch that passes over most of what there is goes through many groups, which must not all wait for its end in memory.
        void MakeSoFar()
        {
            if (sequences.Count == 0)
            {
                return;
            }

            var (part, taken) = (new TaskCompletionSource<TraceTokens[]>(), sequences);
            sequences = [];
            made.Add(part.Task);
            _taking.Add(part.Task.ContinueWith(_ => { }, TaskScheduler.Default)); // done, well or not
            _jobs.Enqueue(() => Complete(part, () => [.. taken.Select(Make).OfType<TraceTokens>()]));
        }
    }

    /// <param name="key">The group.</param>
    /// <param name="taken">Rows that are needed no more, and would stay in memory as long as the group.</param>
    void Load((int Set, int Group) key, params IReadOnlyList<int> taken)
    {
        var (group, rows) = (_plan.Sets[key.Set].Groups[key.Group], new TaskCompletionSource<TraceTokens?[]>());
        _groups[key] = rows.Task;
        var letGo = _letGo;
        _jobs.Enqueue(() =>
        {
            // Or threads that are faster than the one that makes a batch would read window after window meanwhile.
            letGo.Wait();
            Complete(rows, () => Read(group, taken));
        });
    }

    static TraceTokens?[] Read(SequenceGroup group, IReadOnlyList<int> taken)
    {
        var rows = group.Read();
        foreach (var row in taken)
        {
            rows[row] = null;
        }

        return rows;
    }

    /// <summary>Takes a sequence and decodes its soft targets.</summary>
    /// <returns>Null for one that is passed over.</returns>
    static TraceTokens? Make(PlannedSequence planned)
    {
        var (group, step) = (planned.Group, planned.Step);
        var rows = planned.Rows.GetAwaiter().GetResult();
        var sequence = rows[step.Row]!;
        if (step.Kind is BatchStepKind.Take or BatchStepKind.Skip)
        {
            rows[step.Row] = null;
        }

        if (step.Kind == BatchStepKind.Skip)
        {
            return null;
        }

        try
        {
            return sequence with
            {
                Soft = sequence.Soft?.Read(),
                Further = [.. sequence.Further.Select(soft => soft?.Read())],
                Picture = sequence.Picture is { } picture ? picture with { Pixels = picture.Read() } : null,
            };
        }
        catch (InvalidDataException error)
        {
            throw new InvalidInputException(
                $"{group.Source.Name}: soft targets of a trace cannot be decoded "
                    + $"({error.Message}); the shard is damaged, restore it or collect again",
                error
            );
        }
    }

    static void Complete<T>(TaskCompletionSource<T> result, Func<T> make)
    {
        try
        {
            result.SetResult(make());
        }
        catch (Exception failure)
        {
            result.SetException(failure);
        }
    }

    /// <param name="Group">That it is of.</param>
    /// <param name="Rows">Its group's sequences, once they are read.</param>
    /// <param name="Step">What becomes of it.</param>
    readonly record struct PlannedSequence(SequenceGroup Group, Task<TraceTokens?[]> Rows, BatchStep Step);
}
